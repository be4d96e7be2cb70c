package mount

import (
	"slices"
	"strings"
	"testing"

	"muster/modules"
	"muster/modules/file"
	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) {
	modulestest.Run(t, slices.Concat(Kinds(), file.Kinds())...)
}

func TestALineOfFstabIsEdited(t *testing.T) {
	const others = "# <file system>\n/dev/sda1 / ext4 errors=remount-ro 0 1 # the root\n\nUUID=a none swap sw 0 0\n"
	data := Mount{Path: "/srv/data", Device: "/dev/vdb1", Type: "ext4", Options: modules.OneOrMore{"noatime,nodev"}, Pass: 2}
	gone := data
	gone.State = "absent"
	swap := Mount{Path: "none", Device: "/swap file", Type: "swap"}
	const line = "/dev/vdb1\t/srv/data\text4\tnoatime,nodev\t0\t2\n"
	for _, test := range []struct {
		name      string
		m         Mount
		old, want string
	}{
		{"a new line", data, others, others + line},
		{"after a line without an end", data, "/dev/sda1 / ext4", "/dev/sda1 / ext4\n" + line},
		{"the same, written otherwise", data, "/dev/vdb1 /srv/data/   ext4  noatime,nodev 0 2\n", line},
		{"the same, with spaces and a comment", data, "  /dev/vdb1 /srv/data  ext4  noatime,nodev 0 2 # ours\n", "  /dev/vdb1 /srv/data  ext4  noatime,nodev 0 2 # ours\n"},
		{"another device, in its place", data, "/dev/vdc1 /srv/data ext4 defaults 0 2\n" + others, line + others},
		{"taken out", gone, others + line, others},
		{"never there", gone, others, others},
		{"swap, with a space", swap, others, others + "/swap\\040file\tnone\tswap\tdefaults\t0\t0\n"},
		{"swap that is there", swap, "/swap\\040file none swap defaults\n", "/swap\\040file none swap defaults\n"},
		{"a commented line", data, "#" + line, "#" + line + line},
	} {
		t.Run(test.name, func(t *testing.T) {
			if got, err := test.m.edit(test.old); err != nil || got != test.want {
				t.Errorf("got %q, %v; want %q", got, err, test.want)
			}
		})
	}
	if _, err := data.edit(line + line); err == nil || !strings.Contains(err.Error(), "two lines for /srv/data, 1 and 2") {
		t.Errorf("two lines: %v", err)
	}
}

func TestSizesOfTmpfsAreCompared(t *testing.T) {
	for size, want := range map[string]int64{"64M": 64 << 20, "65536k": 64 << 20, "1g": 1 << 30, "4097": 8192, "50%": 0, "": 0} {
		if got := bytesOf(size); got != want {
			t.Errorf("%q: %d, want %d", size, got, want)
		}
	}
}
