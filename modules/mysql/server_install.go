package mysql

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"muster/host"
	"muster/modules"
)

// asFlavor is a flavor by the word that playbooks have for it; MariaDB where there is none.
func asFlavor(word string) flavor {
	if word == "mysql" {
		return mysqlOwn
	}
	return mariadb
}

// usualFolder is where Debian's packages have their settings.
func (f flavor) usualFolder() string {
	if f == mysqlOwn {
		return "/etc/mysql/mysql.conf.d"
	}
	return "/etc/mysql/mariadb.conf.d"
}

// usualVersion is one whose settings a forecast shows.
func (f flavor) usualVersion() [3]int {
	if f == mysqlOwn {
		return [3]int{8, 4, 0}
	}
	return [3]int{10, 11, 0}
}

func (f flavor) unit() string {
	if f == mysqlOwn {
		return "mysql.service"
	}
	return "mariadb.service"
}

func (f flavor) packageName() string {
	if f == mysqlOwn {
		return "mysql-server"
	}
	return "mariadb-server"
}

// installed finds the server's program, or plans that its packages are installed.
func (p *serverPlanner) installed(ctx context.Context) (*InstallServer, error) {
	p.flavor = asFlavor(p.Flavor)
	for _, c := range []struct {
		program string
		flavor  flavor
	}{{"/usr/sbin/mariadbd", mariadb}, {"/usr/sbin/mysqld", mysqlOwn}, {"/usr/libexec/mariadbd", mariadb}} {
		info, err := p.v.Stat(c.program)
		if err != nil {
			return nil, err
		}
		if info.Exists() {
			p.program, p.flavor = c.program, c.flavor
			break
		}
	}
	p.unit = p.flavor.unit()
	if p.program != "" {
		if p.Flavor != "" && asFlavor(p.Flavor) != p.flavor {
			return nil, modules.ArgError{Arg: "flavor", Summary: "Another server is installed", Detail: fmt.Sprintf("This host has %s, and one host has one server: muster doesn't turn one into the other, which takes the data out and in again.", p.flavor)}
		}
		if p.Version == "" {
			return nil, nil
		}
	}
	name := p.flavor.packageName()
	have, err := p.v.Query(ctx, host.Command{Argv: []string{"dpkg-query", "-W", "-f=${db:Status-Abbrev}\t${Version}", name}}, host.Key{Space: host.Packages, Name: name})
	if err != nil {
		return nil, err
	}
	status, version, _ := strings.Cut(string(have.Stdout), "\t")
	i := &InstallServer{Package: name, Version: p.Version, Unit: p.unit}
	if strings.HasPrefix(status, "ii") && p.program != "" {
		if version == p.Version {
			return nil, nil
		}
		i.From = version
	}
	policy, err := p.v.Query(ctx, host.Command{Argv: []string{"apt-cache", "policy", name}}, host.Key{Space: host.Packages, Name: name})
	if err != nil {
		return nil, err
	}
	offers := string(policy.Stdout)
	i.Refresh = !strings.Contains(offers, "Candidate:") || strings.Contains(offers, "Candidate: (none)")
	if i.Refresh && !p.v.Pending() && p.hasLists() {
		return nil, modules.ArgError{Arg: "flavor", Summary: "No such server", Detail: fmt.Sprintf("The package lists of this host have no %s: add a repository that has it in an earlier task, fetch the lists if they are old, or give the task another flavor.", name)}
	}
	if !i.Refresh && p.Version != "" && !strings.Contains(offers, " "+p.Version+" ") {
		if p.v.Pending() {
			return nil, host.NotYet(host.Key{Space: host.Packages, Name: name})
		}
		return nil, modules.ArgError{Arg: "version", Summary: "No such version", Detail: fmt.Sprintf("The package lists of this host have no %s %s: `apt-cache policy %s` shows those that they have.", name, p.Version, name)}
	}
	return i, nil
}

// hasLists reports whether the host has lists of packages at all.
func (p *serverPlanner) hasLists() bool {
	names, err := p.v.ReadDir("/var/lib/apt/lists")
	return err == nil && slices.ContainsFunc(names, func(n string) bool { return strings.Contains(n, "_Packages") })
}

// InstallServer has apt install a server's packages, which start it.
type InstallServer struct {
	Package string `json:"package"`
	Version string `json:"version,omitempty"` // "": apt's choice
	From    string `json:"from,omitempty"`    // the installed version, where there is one
	Unit    string `json:"unit"`
	Refresh bool   `json:"refresh,omitempty"` // the lists don't have it as they are
}

// Type is "mysql.server.install/1".
func (*InstallServer) Type() string { return "mysql.server.install/1" }

// Describe says what is installed.
func (i *InstallServer) Describe() host.Description {
	d := host.Description{Action: host.Create, Target: "package " + i.Package, Impact: "its packages start the server"}
	if i.From != "" {
		d.Action, d.Diff, d.Impact = host.Update, fmt.Sprintf("version: %s → %s", i.From, i.Version), "its packages restart the server"
	} else if i.Version != "" {
		d.Diff = "version: " + i.Version
	}
	if i.Refresh {
		d.Impact += "; the package lists are fetched first"
	}
	return d
}

// brings is what the packages leave.
func brings() []host.Effect {
	list := []host.Effect{host.May(host.Files), host.May(host.Units), host.May(host.Users), host.May(host.Groups), host.May(host.Packages)}
	for _, k := range serverKeys {
		list = append(list, host.Open(k.Space, k.Name))
	}
	for _, path := range []string{"/usr/sbin/mariadbd", "/usr/sbin/mysqld", "/etc/mysql/my.cnf"} {
		list = append(list, host.Open(host.Files, path))
	}
	return list
}

// Effects is what its packages leave.
func (i *InstallServer) Effects() []host.Effect {
	return append(brings(), host.Open(serverKey.Space, serverKey.Name))
}

// Apply runs apt, which goes on where an earlier run was cut off.
func (i *InstallServer) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	env := []string{"DEBIAN_FRONTEND=noninteractive", "APT_LISTCHANGES_FRONTEND=none"}
	wait := []string{"-o", "DPkg::Lock::Timeout=120", "-o", "Dpkg::Use-Pty=0", "-o", "Dpkg::Options::=--force-confdef", "-o", "Dpkg::Options::=--force-confold"}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if i.Refresh {
		if _, err := h.Run(ctx, host.Command{Argv: []string{"apt-get", "update", "-q"}, Env: env}); err != nil {
			return host.Result{}, err
		}
	}
	what := i.Package
	if i.Version != "" {
		what += "=" + i.Version
	}
	argv := append(append([]string{"apt-get", "-y", "-q"}, wait...), "--no-install-recommends", "--allow-downgrades", "install", what)
	_, err := h.Run(ctx, host.Command{Argv: argv, Env: env})
	if err != nil && strings.Contains(err.Error(), "dpkg was interrupted") {
		if _, err := h.Run(ctx, host.Command{Argv: []string{"dpkg", "--force-confdef", "--force-confold", "--configure", "-a"}, Env: env}); err != nil {
			return host.Result{}, fmt.Errorf("finishing what an interrupted dpkg left: %w", err)
		}
		_, err = h.Run(ctx, host.Command{Argv: argv, Env: env})
	}
	if err != nil {
		if strings.Contains(err.Error(), "Unable to locate package") || strings.Contains(err.Error(), "no installation candidate") {
			err = fmt.Errorf(`this host's release has no %s: add a repository that has it in an earlier task, or give the task another flavor: %w`, i.Package, err)
		}
		return host.Result{}, err
	}
	return host.Result{}, h.At("installed " + i.Package)
}
