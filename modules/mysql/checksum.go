package mysql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// Checksum proves that a replica's tables are its primary's, row for row. It only reads, on
// both hosts, and is what a drift check uses. Both read their tables in chunks, each at a
// moment of its own, and a chunk that differs counts only where nothing was written to its
// table between both moments. Where something was, the chunk is "not proved" by a plan; an
// apply reads such chunks again until they hold still.
//
// A chunk that differs fails the task: nothing mends it. A plan reads all tables whole, each
// time: such tasks are best in a playbook of their own.
type Checksum struct {
	// The host of the inventory whose server this one replicates from.
	Primary string `arg:"primary,key,required"`
	// The databases that are compared.
	Databases []string `arg:"databases" means:"all but the server's own"`
	// How many rows are read at once.
	Chunk int `arg:"chunk" default:"5000"`
	// From how many seconds behind its primary on the replica isn't read, so that it catches up
	// first.
	MaxLag int `arg:"max_lag" default:"10"`
	// Whether an apply may keep everybody on the primary from writing to a table for some
	// seconds, to prove a chunk of it that never holds still.
	Fenced bool `arg:"fenced"`
	// Whether a difference fails the task. With false it is told, and in the output.
	Fail *bool `arg:"fail" means:"true"`
	// What is read again goes through the controller: no connection between the hosts is needed.
	Relay bool `arg:"relay"`
}

// ChecksumOutput is what a task of the kind offers.
type ChecksumOutput struct {
	// The parts of tables that differ.
	Differences []Difference `json:"differences"`
	// Those of which nobody can tell, as they were written to while they were read: tables
	// with their parts, as texts.
	NotProved []string `json:"not_proved"`
	// How many tables were compared, and how many rows of the primary's.
	Tables int `json:"tables"`
	// How many rows the primary has in them.
	Rows int `json:"rows"`
}

// Difference is a part of a table that differs.
type Difference struct {
	// The database.
	Database string `json:"database"`
	// The table.
	Table string `json:"table"`
	// What differs: "rows", "columns", "missing" (it isn't on this host) or "extra" (it isn't
	// on the primary).
	What string `json:"what"`
	// The key behind which the part begins; empty for the first.
	From string `json:"from"`
	// The key that the part ends with; empty for the last.
	To string `json:"to"`
	// How many rows this host has in the part.
	Rows int `json:"rows"`
	// How many the primary has.
	PrimaryRows int `json:"primary_rows"`
}

func (d Difference) String() string {
	at := d.Database + "." + d.Table
	switch d.What {
	case "missing":
		return at + " isn't on this host"
	case "extra":
		return at + " is on this host alone"
	case "columns":
		return at + " has other columns, or another key, than on the primary"
	}
	text := at + spanText(d.From, d.To)
	if d.Rows == d.PrimaryRows {
		return fmt.Sprintf("%s: %s on both, of other content", text, count(d.Rows, "row"))
	}
	return fmt.Sprintf("%s: %s, and %s on the primary", text, count(d.Rows, "row"), grouped(d.PrimaryRows))
}

// spanText says which part of a table it is.
func spanText(from, to string) string {
	switch {
	case from == "" && to == "":
		return ""
	case from == "":
		return ", keys up to " + oneLine(to, 60)
	case to == "":
		return ", keys above " + oneLine(from, 60)
	}
	return ", keys above " + oneLine(from, 60) + " up to " + oneLine(to, 60)
}

// keyText is a key as people read it.
func keyText(values []string) string { return strings.Join(values, ",") }

// Check refuses what can't be.
func (c *Checksum) Check(unknown func(string) bool) (errs []modules.ArgError) {
	fail := func(arg, where, detail string, args ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Path: where, Summary: "Wrong value", Detail: fmt.Sprintf(detail, args...)})
		}
	}
	if c.Databases != nil && len(c.Databases) == 0 {
		fail("databases", "", "A list without names compares nothing: leave it out where all databases are meant.")
	}
	for i, name := range c.Databases {
		at := "[" + strconv.Itoa(i) + "]"
		if why := wrongName(name); why != "" {
			fail("databases", at, "%q is no name of a database: %s.", name, why)
		} else if slices.Contains(ownDatabases, strings.ToLower(name)) {
			fail("databases", at, "%s is the server's own, which differs between a primary and its replica.", name)
		}
	}
	if c.Chunk < 1 || c.Chunk > 1_000_000 {
		fail("chunk", "", "It is a number of rows from 1 to 1000000.")
	}
	if c.MaxLag < 1 {
		fail("max_lag", "", "It is a number of seconds, at least 1.")
	}
	return errs
}

// May is nothing: it only reads.
func (*Checksum) May() []host.Effect { return []host.Effect{} }

// Companions is the primary.
func (c *Checksum) Companions() []modules.Companion {
	return []modules.Companion{{Host: c.Primary, Arg: "primary", Kind: "mysql_checksum_source", Relay: c.Relay,
		Args: map[string]any{"databases": c.Databases, "chunk": c.Chunk, "fenced": c.Fenced}}}
}

// fails reports whether a difference fails the task.
func (c *Checksum) fails() bool { return c.Fail == nil || *c.Fail }

// Plan compares all tables once.
func (c *Checksum) Plan(ctx context.Context, v *host.View) (plan modules.Plan, err error) {
	check := &CheckRows{Primary: c.Primary, MaxLag: c.MaxLag, Fenced: c.Fenced, Fail: c.fails()}
	var from sourceOutput
	if err = settledRole(v); err == nil {
		err = v.Companion(c.Primary, &from)
	}
	if err != nil {
		if errors.Is(err, host.ErrNotYet) {
			plan.Then = []host.Description{check.Describe()}
		}
		return plan, err
	}
	for _, name := range from.Missing {
		return plan, modules.ArgError{Arg: "databases", Path: fmt.Sprintf("[%d]", slices.Index(c.Databases, name)), Summary: "No such database",
			Detail: fmt.Sprintf("%s has no database %q, so that there is nothing to compare: it is the whole name of one that is there, or that an earlier task makes there.", c.Primary, name)}
	}
	found, err := readingLong(ctx, v, func(ctx context.Context, s *server) (*comparison, error) {
		return s.compare(ctx, c, &from)
	})
	if err != nil {
		return plan, err
	}
	out := found.output(&from)
	if len(out.Differences) > 0 && c.fails() {
		plan.Output, err = host.Marshal(out)
		return plan, errors.Join(differ(c.Primary, out), err)
	}
	if out.Tables == 0 && len(out.Differences) == 0 {
		plan.Notes = append(plan.Notes, fmt.Sprintf("Nothing is proved: %s has no tables in %s.", c.Primary, c.what()))
	}
	plan.Notes = append(plan.Notes, out.notes(c.Primary)...)
	if len(found.open) > 0 {
		check.Parts, check.Found = found.open, out
		plan.Changes, plan.Always = []host.Change{check}, true
		plan.Notes = append(plan.Notes, notProved(c.Primary, out))
		return plan, nil
	}
	plan.Output, err = host.Marshal(out)
	return plan, err
}

// what are the databases that are compared.
func (c *Checksum) what() string {
	if len(c.Databases) == 0 {
		return "any database"
	}
	return strings.Join(c.Databases, ", ")
}

// differ is the error of differences.
func differ(primary string, out ChecksumOutput) error {
	var list []string
	for _, d := range out.Differences {
		list = append(list, d.String())
	}
	more := ""
	if n := len(out.NotProved); n > 0 {
		more = fmt.Sprintf("; and %s more can't be told, as they are written to", grouped(n))
	}
	return fmt.Errorf("this host's data isn't that of %s: %s%s", primary, few(list), more)
}

// notes tell the differences of a check that doesn't fail by them.
func (out *ChecksumOutput) notes(primary string) (list []string) {
	const most = 50 // all of them are in the output
	for i, d := range out.Differences {
		if i == most {
			return append(list, fmt.Sprintf("Differs from %s: %s more.", primary, grouped(len(out.Differences)-most)))
		}
		list = append(list, "Differs from "+primary+": "+d.String()+".")
	}
	return list
}

// notProved says of which parts of tables nobody can tell.
func notProved(primary string, out ChecksumOutput) string {
	return fmt.Sprintf("Not proved, of %s: %s.", primary, few(out.NotProved))
}

// few are the first of some texts.
func few(list []string) string {
	const most = 8
	text := strings.Join(list[:min(len(list), most)], "; ")
	if n := len(list) - most; n > 0 {
		text += fmt.Sprintf("; and %d more", n)
	}
	return text
}
