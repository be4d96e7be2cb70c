package docker

import (
	"net/netip"
	"strings"
)

// insecureRegistries are insecure registries as the daemon tells them: networks without their
// hosts' part. Loopback is always among them and isn't told apart.
func insecureRegistries(v any) (list []string) {
	for _, name := range settingTexts(v) {
		if p, err := netip.ParsePrefix(name); err == nil {
			if p.Addr().IsLoopback() {
				continue
			}
			name = p.Masked().String()
		}
		list = append(list, name)
	}
	return list
}

// cgroupDriver is the one that the settings name, "" where they name none.
func cgroupDriver(want map[string]any) (driver string) {
	for _, opt := range settingTexts(want["exec-opts"]) {
		if name, ok := strings.CutPrefix(opt, "native.cgroupdriver="); ok {
			driver = name
		}
	}
	return driver
}
