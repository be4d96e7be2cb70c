package mysql

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"muster/host"
)

// copyPlan is all that is known when a server is to be given another's data.
type copyPlan struct {
	primary string // the host, as the inventory names it
	address string // where this host finds the primary's server
	port    int
	method  string // that was asked for
	donor   DonorOutput
	here    recipient
	// own is what the server holds besides the system's, which goes: whether it may has
	// been asked before.
	own []SchemaSize
	// left is what a run before this one has left; nil for nothing.
	left *leftCopy
}

// recipient is the server that is to be given data.
type recipient struct {
	flavor  flavor
	version [3]int
	dataDir string // without links
	unit    string
	tools   []string // mysql_donor's names of them, and "mbstream"
	free    int64    // bytes, where the data directory lies
	// outside is what of its data doesn't lie in the data directory, "" where all does.
	outside string
	// mounted: the data directory is where a file system is mounted.
	mounted bool
	// stopped: the server doesn't run, so that nothing else is known of it.
	stopped bool
}

// from takes what an earlier run has noted for what is known of a server that is stopped.
func (r *recipient) from(n *copyNote) {
	r.flavor, r.dataDir, r.unit, r.stopped = n.Flavor, n.DataDir, n.Unit, true
}

// units are how the servers' units are called. Each may be an alias of another.
var units = []string{"mariadb.service", "mysql.service", "mysqld.service"}

// readRecipient reads what the server that answers on this host is, as one that gets data.
func readRecipient(ctx context.Context, v *host.View) (r recipient, err error) {
	vars, err := asking(ctx, v, func(s *server) (map[string]string, error) {
		r.flavor, r.version = s.flavor, s.version
		return s.variables(ctx, "datadir", "innodb_data_home_dir", "innodb_log_group_home_dir", "innodb_undo_directory", "plugin_dir")
	})
	if err != nil {
		return r, err
	}
	if r.dataDir, err = v.Follow(strings.TrimSuffix(vars["datadir"], "/")); err != nil {
		return r, err
	}
	for _, name := range []string{"innodb_data_home_dir", "innodb_log_group_home_dir", "innodb_undo_directory"} {
		at := vars[name]
		if at == "" || !filepath.IsAbs(at) && filepath.Clean(at) == "." {
			continue
		}
		if at, err = v.Follow(filepath.Clean(at)); err != nil {
			return r, err
		}
		if at != r.dataDir {
			r.outside = name + " = " + at
		}
	}
	if r.unit, err = serverUnit(ctx, v); err != nil {
		return r, err
	}
	for _, tool := range []string{backupProgram, "mbstream", "mariadb", "mysql"} {
		at, err := findProgram(v, tool)
		if err != nil {
			return r, err
		}
		if at != "" {
			r.tools = append(r.tools, tool)
		}
	}
	if info, err := v.Stat(filepath.Join(vars["plugin_dir"], clonePlugin)); err != nil {
		return r, err
	} else if info.Exists() && r.flavor == mysqlOwn {
		r.tools = append(r.tools, cloneTool)
	}
	r.mounted = host.MountedBelow(r.dataDir) != ""
	var fs unix.Statfs_t
	if err := unix.Statfs(r.dataDir, &fs); err != nil {
		return r, fmt.Errorf("how much is free where %s lies: %w", r.dataDir, err)
	}
	r.free = int64(fs.Bavail) * int64(fs.Bsize)
	return r, nil
}

// serverUnit is the unit that the server runs as.
func serverUnit(ctx context.Context, v *host.View) (string, error) {
	argv := append([]string{"systemctl", "show", "--property=Id,ActiveState,MainPID"}, units...)
	out, err := v.Query(ctx, host.Command{Argv: argv}, serverKeys...)
	if err != nil {
		return "", err
	}
	for block := range strings.SplitSeq(string(out.Stdout), "\n\n") {
		fields := map[string]string{}
		for line := range strings.Lines(block) {
			name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
			fields[name] = value
		}
		if fields["ActiveState"] == "active" && fields["MainPID"] != "0" && fields["Id"] != "" {
			return fields["Id"], nil
		}
	}
	return "", fmt.Errorf("the database server runs as none of the units %s: it can't be stopped and started", strings.Join(units, ", "))
}

// note is what is noted while data is brought in that way.
func (p *copyPlan) note(method string) copyNote {
	return copyNote{Donor: p.primary, Method: method, Flavor: p.here.flavor, DataDir: p.here.dataDir, Unit: p.here.unit, State: copying}
}

// changes are those that leave the server with the primary's data, at the position of which
// it can go on, and what a user should know of them besides. The server may be stopped
// where an earlier run was cut: here isn't needed then. The changes that make it a replica
// come after these, and after those p.end.
func (p *copyPlan) changes() (list []host.Change, notes []string, err error) {
	if p.left != nil {
		notes = append(notes, "Provisioning: "+p.left.String()+".")
	}
	if p.left != nil && p.left.Donor != p.primary && p.left.State != copying {
		if p.left.inPlace() || p.left.State == prepared {
			// Another primary's data: it is one's own no longer, and nobody's replica yet.
			return nil, notes, fmt.Errorf("the server has, or is about to have, a copy of %s's data, and was never made its replica: end that with primary = %q, or remove %s to have it taken for the server's own", p.left.Donor, p.left.Donor, copyPath)
		}
	}
	switch {
	case p.left.inPlace():
		if p.left.State == placed {
			return nil, notes, nil
		}
		return p.place(p.left.copyNote), notes, nil
	case p.left != nil && p.left.State == prepared:
		n := p.left.plain()
		return append([]host.Change{&UseCopy{Copy: n, Loses: p.loses(), Drops: names(p.own)}}, p.place(n)...), notes, nil
	}
	method, why, err := p.choose()
	if p.here.stopped && p.left != nil { // begun anew as it was begun: what was against it has been asked then
		method, why, err = p.left.Method, "", nil
	}
	if err != nil {
		return nil, notes, err
	}
	n := p.note(method)
	text := fmt.Sprintf("It copies %s from %s by %s", bytesText(p.donor.DataBytes), p.primary, methodNames[method])
	if why != "" {
		text += ": " + why
	}
	notes = append(notes, text+".")
	switch method {
	case byBackup:
		list = []host.Change{&ReceiveCopy{Copy: n, bytes: p.donor.DataBytes}, &PrepareCopy{Copy: n}, &UseCopy{Copy: n, Loses: p.loses(), Drops: names(p.own)}}
	case byDump:
		list = []host.Change{&LoadDump{Copy: n, Lock: len(p.donor.Emptied) > 0, Drops: names(p.own), Loses: p.loses(), bytes: p.donor.DataBytes}}
	case byClone:
		list = []host.Change{&CloneServer{Copy: n, Address: p.address, Port: p.port, Drops: names(p.own), Loses: p.loses(), bytes: p.donor.DataBytes}}
	}
	return append(list, p.place(n)...), notes, nil
}

// plain is a note as it is planned with: the same however far it has come.
func (n copyNote) plain() copyNote {
	n.State, n.Position, n.Begun, n.Had = copying, "", "", nil
	return n
}

// place is what comes once the data is in place. A copy that goes on has the state that it
// was found in: what is planned is the same whichever it is.
func (p *copyPlan) place(n copyNote) []host.Change {
	return []host.Change{&PlaceCopy{Copy: n.plain()}}
}

// end is what comes once the server is a replica: nil where nothing was copied.
func (p *copyPlan) end(list []host.Change) []host.Change {
	for _, c := range list {
		if at, ok := c.(*PlaceCopy); ok {
			return []host.Change{&EndCopy{Copy: at.Copy}}
		}
	}
	if p.left != nil && p.left.State == placed {
		return []host.Change{&EndCopy{Copy: p.left.plain()}}
	}
	return nil
}

// loses says what of the server's own goes. What a copy that was cut has left isn't its own.
func (p *copyPlan) loses() string {
	if p.left != nil && (p.left.State == loading || p.left.State == cloning) {
		return ""
	}
	var parts []string
	for _, s := range p.own {
		parts = append(parts, fmt.Sprintf("%s (%s, %s)", s.Name, count(s.Tables, "table"), roughly(s.Bytes)))
	}
	return strings.Join(parts, ", ")
}

func names(list []SchemaSize) (names []string) {
	for _, s := range list {
		names = append(names, s.Name)
	}
	return names
}

// methodNames are how users know them.
var methodNames = map[string]string{byClone: "MySQL's clone", byBackup: backupProgram, byDump: "a dump"}

// choose returns the method, and why it isn't the best one for this server.
func (p *copyPlan) choose() (method, why string, err error) {
	if p.donor.Flavor != p.here.flavor {
		return "", "", fmt.Errorf("the primary is %s and this server %s: neither can be the other's replica by GTIDs", p.donor.Flavor, p.here.flavor)
	}
	best := byClone
	if p.here.flavor == mariadb {
		best = byBackup
	}
	switch p.method {
	case byAuto:
		against := p.against(best)
		if against == nil {
			return best, "", nil
		}
		if err := p.against(byDump); err != nil {
			return "", "", fmt.Errorf("no method brings the data of %s: %w; %w", p.primary, against, err)
		}
		return byDump, against.Error(), nil
	case byClone, byBackup, byDump:
		return p.method, "", p.against(p.method)
	}
	return "", "", fmt.Errorf("method = %q copies nothing", p.method)
}

// against is what there is against a method; nil for nothing.
func (p *copyPlan) against(method string) error {
	var missing []string
	needs := func(on string, has []string, tools ...string) {
		for _, t := range tools {
			if !slices.Contains(has, t) {
				missing = append(missing, fmt.Sprintf("%s isn't installed on %s", t, on))
			}
		}
	}
	const me = "this host"
	switch method {
	case byBackup:
		switch {
		case p.here.flavor != mariadb:
			return errors.New("mariadb-backup copies MariaDB only: clone and dump are for MySQL")
		case !p.sameSeries():
			return fmt.Errorf("a copy of %s's files is of no use to %s", p.donor.Version, versionText(p.here.version))
		case p.here.outside != "":
			return fmt.Errorf("a copy of files takes a server that has all of its data in its data directory, and this one has %s", p.here.outside)
		case p.here.mounted:
			return fmt.Errorf("a file system is mounted at %s, whose place a copy can't take: have the data in a directory of that file system", p.here.dataDir)
		}
		needs(p.primary, p.donor.Tools, backupProgram)
		needs(me, p.here.tools, backupProgram, "mbstream")
		if len(missing) > 0 {
			return fmt.Errorf("%s: install the package mariadb-backup there", strings.Join(missing, ", and "))
		}
	case byClone:
		switch {
		case p.here.flavor != mysqlOwn:
			return errors.New("clone is MySQL's: backup and dump are for MariaDB")
		case !p.sameSeries():
			return fmt.Errorf("a clone takes servers of one series, and the primary is %s, this one %s", p.donor.Version, versionText(p.here.version))
		case len(p.donor.Emptied) > 0:
			return fmt.Errorf("a clone leaves tables empty that aren't InnoDB's: %s", some(p.donor.Emptied))
		}
		needs(p.primary, p.donor.Tools, cloneTool)
		needs(me, p.here.tools, cloneTool)
		if len(missing) > 0 {
			return fmt.Errorf("the plugin %s", strings.Join(missing, ", and "))
		}
	case byDump:
		dump, client := "mysqldump", "mysql"
		if p.here.flavor == mariadb {
			dump, client = "mariadb-dump", "mariadb"
		}
		if len(p.donor.Emptied) > 0 && p.method == byAuto {
			return fmt.Errorf(`a dump has no moment at which tables hold still that aren't InnoDB's (%s): convert them, or give method = "dump", which keeps the primary from writing while it lasts`, some(p.donor.Emptied))
		}
		needs(p.primary, p.donor.Tools, dump)
		needs(me, p.here.tools, client)
		if len(missing) > 0 {
			return errors.New(strings.Join(missing, ", and "))
		}
	}
	return p.roomFor(method)
}

// roomFor finds that there isn't enough room. A copy lies beside the server's own data, and
// needs some more while it is prepared; for a clone the own data goes first, but for what
// can't be told here.
func (p *copyPlan) roomFor(method string) error {
	need := p.donor.DataBytes + p.donor.DataBytes/10
	if p.left != nil && p.left.arrived || p.here.free >= need {
		return nil // what is left over goes first, and nobody knows how much it has
	}
	return fmt.Errorf("the file system of %s has %s left, and %s needs %s", p.here.dataDir, bytesText(p.here.free), methodNames[method], bytesText(need))
}

// sameSeries reports whether both servers are of one series: files of one are those of the
// other then.
func (p *copyPlan) sameSeries() bool {
	return strings.HasPrefix(p.donor.Version+".", fmt.Sprintf("%d.%d.", p.here.version[0], p.here.version[1]))
}

func versionText(v [3]int) string {
	return strconv.Itoa(v[0]) + "." + strconv.Itoa(v[1]) + "." + strconv.Itoa(v[2])
}

// some is a list of names that may be long.
func some(list []string) string {
	const most = 5
	if len(list) <= most {
		return strings.Join(list, ", ")
	}
	return strings.Join(list[:most], ", ") + fmt.Sprintf(" and %d more", len(list)-most)
}
