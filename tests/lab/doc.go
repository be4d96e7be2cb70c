// Package lab gives tests real Debian hosts behind a real bastion, on one machine.
//
// A lab is up to nine hosts with systemd as PID 1 and an sshd each, on a private
// network that only the bastion joins to the workstation: what a VPC looks like
// from outside. It needs Linux, root, namespaces and overlayfs, no virtual
// machine and no daemon. The first Up of a machine makes a base tree (a minute
// or two); each later one takes seconds.
//
//	l, err := lab.Up(ctx, lab.Options{ID: "roll", Hosts: []string{"lb1", "app1", "app2"}})
//	…
//	defer l.Down()
//	out, err := l.Command(ctx, muster, "apply", "site.hcl", "--yes").CombinedOutput()
//	err = l.Host("app1").Kill()   // the power is cut
//	err = l.Host("app1").Boot(ctx)
//
// # The network
//
//	workstation 203.0.113.2 ─ pub ─ 203.0.113.10 nat 10.0.1.1 ─ priv ─ lb1 10.0.1.11 …
//
// A namespace of its own is the switch, with the bridges pub and priv; so every
// lab has the same addresses, a checked-in inventory fits each of them, and two
// labs don't meet. Commands run in the workstation's namespace (Command). The
// hosts' default route is the bastion, which masquerades them towards pub;
// nothing leads out of the lab. No package of it is fetched but through the
// package cache, which answers at 10.0.1.254:3142, an address of the switch, and
// at the bastion's port 3142, which forwards there. The hosts' apt is told the
// former, so that a playbook that replaces the bastion's firewall cuts no host
// off from its packages.
//
// # The hosts
//
// Every host has the users ops (sudo without a password), limited (no sudo) and
// asks (sudo with AsksPassword); all accept the key in the workstation's
// .ssh/id_ed25519. The workstation's .ssh/known_hosts holds the hosts' keys by
// address. OpenSSH reads the home of the account, not $HOME: give it the file
// SSHConfig. The hosts' sshd is as Debian configures it.
//
// A host is an overlay over the base tree. Kill cuts its power and Boot brings
// the same overlay up again in a network namespace made afresh, so no firewall
// rule, address or sysctl outlives a boot that wasn't saved to a file. What was
// written but not synced does survive: it is this machine's page cache that
// holds it. A host that reboots itself comes back by itself: no kernel is booted,
// but all of its processes end, /run is empty, and systemd-nspawn gives it another
// boot id. Reset throws the overlay away and keeps the host's keys.
//
// Hosts run Debian bookworm, or what Options.Suites says: each release has a base
// tree of its own, cached like bookworm's. Under sid, whose systemd refuses the
// first control groups, a host has the second alone. Of Ubuntu there are noble and
// jammy, from its own mirror and with its keyring, which is known by its SHA-256:
// Debian hasn't that. A mirror's sid changes: ask
// Host.Offers for what a test installs there, and say so where it lacks that
// (ErrNoPackage; on the command line, lab offers and its exit code 3).
//
// Each host runs in control groups of its own. (systemd-nspawn --keep-unit would
// put all of them into one, and their systemds would end each other's services.)
// vm.*, kernel.* and the clock are this machine's own: set only net.* there. So
// are inotify instances, of which a host takes some five: with the kernel's
// default of 128 (fs.inotify.max_user_instances) two whole labs fit, not four.
//
// # Docker
//
// Overlayfs doesn't go on overlayfs: a host named in Options.Docker has a plain
// folder on /var/lib/docker and one on /var/lib/containerd, and a unit that makes
// its control groups writable at each boot, before Docker starts. Install docker.io
// on it as on any host.
// There is no registry to pull from: build images from scratch.
//
// # What is left behind
//
// Down unmounts, deletes the namespaces and ends the lab's processes: those it
// started, by id and start time, and whatever else still runs in its control
// groups or namespaces. It works after any crash and can be repeated. The state
// is in /run/muster-lab/ID; base trees, packages and the hosts' overlays are in
// the cache folder ($MUSTER_LAB_CACHE, else /var/cache/muster-lab), which must
// not itself be on an overlay. Nothing of the cache goes by itself: with no lab
// up, all of it can be removed, and is made again.
//
// The tests of this package that bring up hosts run with MUSTER_LAB_TEST=1.
package lab
