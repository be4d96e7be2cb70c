package mysql

import (
	"context"
	"errors"
	"fmt"
	"path"
	"strings"

	"muster/host"
	"muster/modules"
)

// configuration is what the kind's own file holds, so that settings hold over a restart; "" where
// that is nothing.
func (r *Replication) configuration(f flavor) string {
	readOnly, semiSync := "super_read_only", "loose_rpl_semi_sync_replica_enabled"
	if f == mariadb {
		readOnly, semiSync = "read_only", "rpl_semi_sync_slave_enabled"
	}
	text := ""
	if r.readOnly() {
		text += readOnly + " = ON\n"
	}
	if r.SemiSync != nil && *r.SemiSync {
		text += semiSync + " = ON\n"
	}
	if text == "" {
		return ""
	}
	return "# Written by muster, mysql_replication.\n[mysqld]\n" + text
}

func (r *Replication) readOnly() bool { return r.ReadOnly == nil || *r.ReadOnly }

// settingsFolders are the folders of configuration in which the kind keeps its own, the first
// that is there.
func settingsFolders(f flavor) []string {
	if f == mariadb {
		return []string{"/etc/mysql/mariadb.conf.d", "/etc/my.cnf.d"}
	}
	return []string{"/etc/mysql/mysql.conf.d", "/etc/mysql/conf.d", "/etc/my.cnf.d"}
}

// settingsFile is the path of the kind's own configuration in a folder.
func settingsFile(folder string) string { return path.Join(folder, "zz-muster-replication.cnf") }

// folder is where the server reads configuration from, as far as muster knows.
func (p *replicationPlanner) folder(f flavor) (string, error) {
	folders := settingsFolders(f)
	for _, dir := range folders {
		info, err := p.v.Stat(dir)
		if err != nil {
			return "", err
		}
		if info.Type == host.Directory {
			return dir, nil
		}
	}
	return "", fmt.Errorf("there is none of the folders in which muster keeps a replica's configuration: %s. Make one that the server reads", strings.Join(folders, ", "))
}

// settings plans the settings, in the kind's own file and live.
func (p *replicationPlanner) settings(ctx context.Context) ([]host.Change, error) {
	now := settings{}
	if p.own == nil { // on what pending changes leave
		own, err := readReplica(ctx, p.v)
		if err != nil {
			return nil, err
		}
		p.own = own
	}
	now.ReadOnly, now.SemiSync = p.own.ReadOnly, p.own.SemiSync
	if value, laid, _, err := p.v.Look(settingsKey); err != nil {
		return nil, err
	} else if laid {
		if err := host.Unmarshal(value, &now); err != nil {
			return nil, err
		}
	}
	to := settings{ReadOnly: p.readOnly(), SemiSync: now.SemiSync}
	if p.SemiSync != nil {
		to.SemiSync = *p.SemiSync
	}
	folder, err := p.folder(p.own.Flavor)
	if err != nil {
		return nil, err
	}
	changes, err := p.keeps(ctx, settingsFile(folder))
	if err != nil {
		return nil, err
	}
	if now != to {
		changes = append(changes, &SetReplica{From: now, To: to})
	}
	return changes, nil
}

// keeps plans the kind's own file.
func (p *replicationPlanner) keeps(ctx context.Context, path string) ([]host.Change, error) {
	text := p.configuration(p.own.Flavor)
	if text != "" {
		return p.v.Rewrite(ctx, path, func(string) (string, error) { return text, nil })
	}
	info, err := p.v.Lstat(path)
	if err != nil || !info.Exists() {
		return nil, err
	}
	return []host.Change{&host.Remove{Path: path, Before: info}}, nil
}

// absent plans the end of replication, and of what the kind has set.
func (p *replicationPlanner) absent(ctx context.Context) (plan modules.Plan, err error) {
	own, err := readReplica(ctx, p.v)
	if err != nil {
		return plan, err
	}
	value, laid, _, err := p.v.Look(sourceKey)
	switch {
	case err != nil:
		return plan, err
	case laid && value != nil:
		from := link{}
		if err := host.Unmarshal(value, &from); err != nil {
			return plan, err
		}
		plan.Changes = append(plan.Changes, &EndReplication{From: from, File: own.sourceFile()})
	case !laid && own.source() != nil:
		plan.Changes = append(plan.Changes, &EndReplication{From: *linkOf(own.source(), ""), File: own.sourceFile()})
	}
	folder, err := p.folder(own.Flavor)
	if err != nil {
		return plan, err
	}
	info, err := p.v.Lstat(settingsFile(folder))
	if err != nil {
		return plan, err
	}
	now := settings{ReadOnly: own.ReadOnly, SemiSync: own.SemiSync}
	if value, laid, _, err := p.v.Look(settingsKey); err != nil {
		return plan, err
	} else if laid {
		if err := host.Unmarshal(value, &now); err != nil {
			return plan, err
		}
	}
	if info.Exists() {
		// Live first: a cut in between leaves the file, by which the rest is found.
		if now.ReadOnly || now.SemiSync {
			plan.Changes = append(plan.Changes, &SetReplica{From: now})
		}
		plan.Changes = append(plan.Changes, &host.Remove{Path: settingsFile(folder), Before: info})
	}
	if len(plan.Changes) == 0 {
		plan.Output, err = host.Marshal(ReplicationOutput{State: string(stateNone), Reason: "it replicates from nobody", Lag: -1, GTID: own.Executed})
	}
	return plan, err
}

// SetReplica gives a server the settings of a replica, live.
type SetReplica struct {
	From settings `json:"from"`
	To   settings `json:"to"`
}

// Type is "mysql.replication.settings/1".
func (*SetReplica) Type() string { return "mysql.replication.settings/1" }

// Describe shows them.
func (c *SetReplica) Describe() host.Description {
	word := map[bool]string{true: "on", false: "off"}
	var lines []string
	impact := ""
	if c.From.ReadOnly != c.To.ReadOnly {
		lines = append(lines, change("read_only", word[c.From.ReadOnly], word[c.To.ReadOnly]))
		if !c.To.ReadOnly {
			impact = "the server takes writes"
		}
	}
	if c.From.SemiSync != c.To.SemiSync {
		lines = append(lines, change("semi_sync", word[c.From.SemiSync], word[c.To.SemiSync]))
		impact = join(impact, "the replica connects anew, so that its primary knows of it")
	}
	return host.Description{Action: host.Update, Target: "settings of the replica", Diff: strings.Join(lines, "\n"), Impact: impact}
}

// join is two texts, or the one that there is.
func join(a, b string) string {
	if a == "" {
		return b
	}
	return a + "; " + b
}

// Effects is these settings.
func (c *SetReplica) Effects() []host.Effect { return []host.Effect{host.Is(settingsKey, c.To)} }

// Apply sets those that change. One that the server asks its source for takes effect when the
// thread that is connected to it connects anew.
func (c *SetReplica) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	s, err := acting(ctx, h)
	if err != nil {
		return host.Result{}, err
	}
	defer s.Close()
	if err := h.Begin(host.Undo{Changes: []host.Change{&SetReplica{From: c.To, To: c.From}}}); err != nil {
		return host.Result{}, err
	}
	if c.From.SemiSync != c.To.SemiSync {
		if err := s.setSemiSync(ctx, c.To.SemiSync); err != nil {
			return host.Result{}, err
		}
		if err := h.At("set semi_sync"); err != nil {
			return host.Result{}, err
		}
	}
	if c.From.ReadOnly != c.To.ReadOnly {
		var statements []string
		switch {
		case s.flavor == mariadb && c.To.ReadOnly:
			statements = []string{"SET GLOBAL read_only = 1"}
		case s.flavor == mariadb:
			statements = []string{"SET GLOBAL read_only = 0"}
		case c.To.ReadOnly:
			statements = []string{"SET GLOBAL super_read_only = 1"}
		default: // which leaves read_only on by itself
			statements = []string{"SET GLOBAL super_read_only = 0", "SET GLOBAL read_only = 0"}
		}
		for _, statement := range statements {
			if err := s.do(ctx, statement); err != nil {
				return host.Result{}, fmt.Errorf("setting read_only: %w", err)
			}
		}
	}
	return host.Result{}, h.At("set read_only")
}

// errNoVariable is a variable that the server doesn't know.
const errNoVariable = 1193

// setSemiSync sets the replica's side of semi-synchronous replication. MySQL has it in a plugin.
func (s *server) setSemiSync(ctx context.Context, on bool) error {
	word := map[bool]string{true: "1", false: "0"}[on]
	name := "rpl_semi_sync_slave_enabled"
	var err error
	if s.flavor == mariadb {
		err = s.do(ctx, "SET GLOBAL "+name+" = "+word)
	} else {
		// A server has the plugin by its old name or by its own.
		if err = s.do(ctx, "SET GLOBAL "+name+" = "+word); isError(err, errNoVariable) {
			name = "rpl_semi_sync_replica_enabled"
			err = s.do(ctx, "SET GLOBAL "+name+" = "+word)
		}
		if isError(err, errNoVariable) && on {
			if err = s.do(ctx, "INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'"); err == nil {
				err = s.do(ctx, "SET GLOBAL "+name+" = "+word)
			}
		}
	}
	if err != nil {
		return fmt.Errorf("setting semi_sync: %w", err)
	}
	c, err := s.unnamed(ctx)
	if err != nil || c == nil || c.IO == "No" {
		return err
	}
	replica, _ := s.words()
	if err := errors.Join(s.do(ctx, "STOP "+replica+" IO_THREAD"), s.do(ctx, "START "+replica+" IO_THREAD")); err != nil {
		return err
	}
	return s.begun(ctx, c.Host, func(c *channel) bool { return c.IO == "Yes" })
}
