package facts

import "muster/host"

// Keys says what each fact is made of that a change may move in the middle of a
// run. A play that reads such a fact waits for the plans of what stands before it.
// The other facts never wait: what the machine and its system are, and what is
// measured anew at each connection (memory, mounts, processors).
func Keys() map[string][]host.Key {
	name := []host.Key{host.File("/etc/hostname"), {Space: host.Kernel, Name: "kernel.hostname"}}
	return map[string][]host.Key{
		"hostname": name,
		"fqdn":     append(name[:len(name):len(name)], host.File("/etc/hosts")),
		"homes":    {{Space: host.Users, Name: host.All}, host.File("/etc/passwd")},
		"timezone": {host.File("/etc/localtime"), host.File("/etc/timezone")},
		"selinux":  {host.File("/etc/selinux/config")},
	}
}
