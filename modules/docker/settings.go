package docker

import (
	"fmt"
	"slices"
	"strings"
)

// The keys of daemon.json, from dockerd 20.10 to 29: the options of its command line
// that may also stand in the file (`dockerd --help`; the manual's page "dockerd",
// "Daemon configuration file"). A reload (SIGHUP) applies some of them, and of these it
// leaves all but a few as they were where the file has them no longer.

// setting is a key of daemon.json.
type setting struct {
	form
	// flags are the options on the command line that mean the same, where they aren't
	// called as the key is.
	flags []string
	// since and until are the first and the last version of dockerd that takes it, by
	// the number before the first point; 0 where that is any.
	since, until int
	reload       reloading
	// detaches: a restart in which it changes can't keep containers, live restore or
	// not.
	detaches bool
}

// reloading is what a reload does with a key.
type reloading int

const (
	needsRestart reloading = iota // nothing: it takes a restart
	whereSet                      // applies it where the file has it, and else leaves what was
	everyTime                     // applies it, and the default where the file lacks it
)

// daemonSettings returns all keys of daemon.json.
func daemonSettings() map[string]setting {
	text, yes, whole := form{kind: textForm}, form{kind: boolForm}, form{kind: numberForm}
	texts := listOf(text)
	path := text.holding(settingPath)
	ip, cidr := text.holding(settingAddress), text.holding(settingSubnet)
	count := whole.holding(settingCount)
	return map[string]setting{
		"allow-direct-routing":             {form: yes, since: 28},
		"allow-nondistributable-artifacts": {form: texts, reload: whereSet},
		"api-cors-header":                  {form: text, until: 28},
		"authorization-plugins":            {form: texts, flags: []string{"authorization-plugin"}, reload: everyTime},
		"bip":                              {form: cidr, detaches: true},
		"bip6":                             {form: cidr, since: 28, detaches: true},
		"bridge":                           {form: text, flags: []string{"b", "bridge"}, detaches: true},
		"bridge-accept-fwmark":             {form: text, since: 29},
		"builder":                          {form: builderForm()},
		"cdi-spec-dirs":                    {form: listOf(path), flags: []string{"cdi-spec-dir"}, since: 25},
		"cgroup-parent":                    {form: text},
		"cluster-advertise":                {form: text, until: 22},
		"cluster-store":                    {form: text, until: 22},
		"cluster-store-opts":               {form: mapOf(text), flags: []string{"cluster-store-opt"}, until: 22},
		"containerd":                       {form: text, detaches: true},
		"containerd-namespace":             {form: text, detaches: true},
		"cpu-rt-period":                    {form: count},
		"cpu-rt-runtime":                   {form: count},
		"cri-containerd":                   {form: yes},
		"data-root":                        {form: path, flags: []string{"data-root", "g", "graph"}, detaches: true},
		"debug":                            {form: yes, flags: []string{"D", "debug"}, reload: whereSet},
		"default-address-pools":            {form: listOf(objectOf(map[string]form{"base": cidr, "size": count})), flags: []string{"default-address-pool"}, detaches: true},
		"default-cgroupns-mode":            {form: text.oneOf("host", "private"), reload: whereSet},
		"default-gateway":                  {form: ip},
		"default-gateway-v6":               {form: ip},
		"default-ipc-mode":                 {form: text.oneOf("shareable", "private"), reload: whereSet},
		"default-network-opts":             {form: mapOf(mapOf(text)), flags: []string{"default-network-opt"}, since: 24},
		"default-runtime":                  {form: text, reload: whereSet},
		"default-shm-size":                 {form: text.holding(settingSize), reload: whereSet},
		"default-stop-timeout":             {form: count, since: 29, reload: whereSet},
		"default-ulimits":                  {form: mapOf(objectOf(map[string]form{"Name": text, "Hard": whole, "Soft": whole})), flags: []string{"default-ulimit"}},
		"dns":                              {form: listOf(ip)},
		"dns-opts":                         {form: texts, flags: []string{"dns-opt"}},
		"dns-search":                       {form: texts},
		"exec-opts":                        {form: listOf(text.holding(settingPair)), flags: []string{"exec-opt"}},
		"exec-root":                        {form: path, detaches: true},
		"experimental":                     {form: yes},
		"features":                         {form: mapOf(yes), flags: []string{"feature"}, reload: whereSet},
		"firewall-backend":                 {form: text.oneOf("iptables", "nftables"), since: 29},
		"fixed-cidr":                       {form: cidr, detaches: true},
		"fixed-cidr-v6":                    {form: cidr, detaches: true},
		"graph":                            {form: path, flags: []string{"data-root", "g", "graph"}, until: 22, detaches: true},
		"group":                            {form: text, flags: []string{"G", "group"}},
		"host-gateway-ip":                  {form: ip},
		"host-gateway-ips":                 {form: listOf(ip), flags: []string{"host-gateway-ip"}, since: 28},
		"hosts":                            {form: listOf(text.holding(settingListen)), flags: []string{"H", "host"}},
		"icc":                              {form: yes},
		"init":                             {form: yes},
		"init-path":                        {form: text},
		"insecure-registries":              {form: listOf(text.holding(settingRegistry)), flags: []string{"insecure-registry"}, reload: whereSet},
		"ip":                               {form: ip},
		"ip-forward":                       {form: yes},
		"ip-forward-no-drop":               {form: yes, since: 28},
		"ip-masq":                          {form: yes},
		"ip6tables":                        {form: yes},
		"iptables":                         {form: yes},
		"ipv6":                             {form: yes, detaches: true},
		"labels":                           {form: listOf(text.holding(settingPair)), flags: []string{"label"}, reload: whereSet},
		"live-restore":                     {form: yes, reload: whereSet},
		"log-driver":                       {form: text},
		"log-format":                       {form: text.oneOf("text", "json"), since: 25},
		"log-level":                        {form: text.oneOf("debug", "info", "warn", "error", "fatal"), flags: []string{"l", "log-level"}},
		"log-opts":                         {form: mapOf(text), flags: []string{"log-opt"}},
		"max-concurrent-downloads":         {form: count, reload: everyTime},
		"max-concurrent-uploads":           {form: count, reload: everyTime},
		"max-download-attempts":            {form: count, reload: everyTime},
		"metrics-addr":                     {form: text},
		"min-api-version":                  {form: text, since: 29},
		"mtu":                              {form: count, detaches: true},
		"network-control-plane-mtu":        {form: count},
		"network-diagnostic-port":          {form: count, reload: everyTime},
		"no-new-privileges":                {form: yes},
		"node-generic-resources":           {form: listOf(text.holding(settingPair)), flags: []string{"node-generic-resource"}},
		"nri-opts":                         {form: objectOf(map[string]form{"enable": yes, "plugin-path": path, "plugin-config-path": path, "socket-path": path}), since: 29},
		"oom-score-adjust":                 {form: whole, until: 25},
		"pidfile":                          {form: path, flags: []string{"p", "pidfile"}},
		"proxies":                          {form: objectOf(map[string]form{"http-proxy": text, "https-proxy": text, "no-proxy": text}), flags: []string{"http-proxy", "https-proxy", "no-proxy"}, since: 23},
		"raw-logs":                         {form: yes},
		"registry-mirrors":                 {form: listOf(text.holding(settingMirror)), flags: []string{"registry-mirror"}, reload: whereSet},
		"rootless":                         {form: yes},
		"runtimes":                         {form: mapOf(runtimeForm()), reload: whereSet},
		"seccomp-profile":                  {form: text},
		"selinux-enabled":                  {form: yes},
		"shutdown-timeout":                 {form: whole, reload: whereSet},
		"storage-driver":                   {form: text, flags: []string{"s", "storage-driver"}, detaches: true},
		"storage-opts":                     {form: texts, flags: []string{"storage-opt"}, detaches: true},
		"swarm-default-advertise-addr":     {form: text},
		"tls":                              {form: yes},
		"tlscacert":                        {form: path},
		"tlscert":                          {form: path},
		"tlskey":                           {form: path},
		"tlsverify":                        {form: yes},
		"userland-proxy":                   {form: yes},
		"userland-proxy-path":              {form: path},
		"userns-remap":                     {form: text, detaches: true},
	}
}

func runtimeForm() form {
	text := form{kind: textForm}
	return objectOf(map[string]form{"path": text, "runtimeArgs": listOf(text), "runtimeType": text, "options": {kind: anyForm}})
}

// builderForm is what builds images. Its names are matched by dockerd whatever their case.
func builderForm() form {
	text, yes := form{kind: textForm}, form{kind: boolForm}
	rule := objectOf(map[string]form{"all": yes, "filter": listOf(text), "keepStorage": text, "reservedSpace": text, "maxUsedSpace": text, "minFreeSpace": text}).anyCase()
	gc := objectOf(map[string]form{"enabled": yes, "policy": listOf(rule), "defaultKeepStorage": text, "defaultReservedSpace": text, "defaultMaxUsedSpace": text, "defaultMinFreeSpace": text}).anyCase()
	return objectOf(map[string]form{
		"gc":           gc,
		"entitlements": objectOf(map[string]form{"network-host": yes, "security-insecure": yes, "device": yes}),
		"history":      {kind: anyForm},
	}).anyCase()
}

// names are a key's options on the command line.
func (s setting) names(key string) []string {
	if s.flags != nil {
		return s.flags
	}
	return []string{key}
}

// missing says why a version of dockerd doesn't take a key, "" where it does or where
// the version isn't known.
func (s setting) missing(version int) string {
	switch {
	case version == 0:
	case s.since > version:
		return fmt.Sprintf("it came with version %d", s.since)
	case s.until != 0 && s.until < version:
		return fmt.Sprintf("version %d was the last that took it", s.until)
	}
	return ""
}

// reloadable reports whether a reload is enough for a key to become what it is to be:
// old and new are its values, nil where it isn't set.
func (s setting) reloadable(key string, old, new any) bool {
	if key == "features" && new != nil {
		// Of these, the daemon asks only for this one after its start.
		was, _ := old.(map[string]any)
		is, _ := new.(map[string]any)
		for name := range is {
			if name != "buildkit" && !sameSetting(was[name], is[name]) {
				return false
			}
		}
		for name := range was {
			if name != "buildkit" && is[name] == nil {
				return false
			}
		}
		return true
	}
	return s.reload == everyTime || s.reload == whereSet && new != nil
}

// unseen are keys where another value leaves what the daemon has out of its sight.
func unseen(keys []string) string {
	for _, k := range keys {
		if slices.Contains([]string{"data-root", "graph", "storage-driver", "userns-remap", "containerd-namespace"}, k) {
			return "images, containers and maybe volumes that the daemon has aren't seen with another " + k
		}
	}
	return ""
}

// enumerate lists words for a sentence.
func enumerate(unitWords []string) string {
	if len(unitWords) > 8 {
		unitWords = append(slices.Clone(unitWords[:8]), fmt.Sprintf("%d more", len(unitWords)-8))
	}
	return strings.Join(unitWords, ", ")
}
