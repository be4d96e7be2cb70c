package network

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"muster/host"
)

// The kernel lists a table in a form of its own, so that it can't be compared with what
// was loaded. When a table is loaded its listing is noted beside the sum of what was
// loaded: while it is listed like that, it is what that text makes of it. The notes are
// kept over a restart of the host, which loads the same; the last two of a table, and
// those of one that is removed, since what isn't proven is taken back.

// stamps is where notes are: of each table a list, the newest first.
const stamps = "/var/lib/muster/nftables"

// stamp is the note of a table.
type stamp struct {
	Loaded string `json:"loaded"` // the sum of the text
	Shape  string `json:"shape"`  // the sum of what is listed of it
}

func stampPath(table string) string {
	return filepath.Join(stamps, strings.ReplaceAll(table, " ", "-"))
}

// table is one that the kernel has.
type table struct {
	Loaded string `json:"loaded,omitempty"` // the sum of the text it was made of; "" where that isn't known
	Shape  string `json:"shape,omitempty"`
	// Text is what makes it anew, with its counters and elements.
	Text string `json:"-"`
}

func sumOf(text string) string {
	if text == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:])
}

// runs runs a program, as a view or a host does.
type runs func(ctx context.Context, c host.Command) (host.Output, error)

// read returns the table that the kernel has of a name; nil where there is none.
func read(ctx context.Context, run runs, name string) (*table, error) {
	list := func(flags ...string) (string, error) {
		c := host.Command{Argv: append(append([]string{nft}, flags...), append([]string{"list", "table"}, strings.Fields(name)...)...), OutputLimit: 64 << 20}
		out, err := run(ctx, c)
		switch {
		case err != nil:
			return "", err
		case out.ExitCode != 0 && strings.Contains(string(out.Stderr), "No such file or directory"):
			return "", nil
		case out.ExitCode != 0:
			return "", fmt.Errorf("reading table %s: %w", name, &host.ExitError{Argv: c.Argv, Output: out})
		}
		return string(out.Stdout), nil
	}
	text, err := list()
	if err != nil || text == "" {
		return nil, err
	}
	plain, err := list("-s")
	if err != nil || plain == "" {
		return nil, err
	}
	t := tableOf(name, plain)
	t.Text = text
	return t, nil
}

// tableOf is a table by its listing without counters.
func tableOf(name, plain string) *table {
	t := &table{Shape: sumOf(shape(plain))}
	for _, s := range noted(name) {
		if s.Shape == t.Shape {
			t.Loaded = s.Loaded
			break
		}
	}
	return t
}

// known returns a table, without its Text and so without what could put it back, where the listing of all tables, which is asked
// for once, shows that it is what muster has loaded; else nil.
func known(ctx context.Context, v *host.View, run runs, name string) *table {
	listing, err := host.Once(v, "tables of nft", func() (string, error) {
		out, err := run(ctx, host.Command{Argv: []string{nft, "-s", "list", "ruleset"}, OutputLimit: 64 << 20})
		if err != nil || out.ExitCode != 0 {
			return "", err
		}
		return "\n" + string(out.Stdout), nil
	})
	_, text, there := strings.Cut(listing, "\ntable "+name+" {\n")
	text, _, whole := strings.Cut(text, "\n}\n")
	if err != nil || !there || !whole {
		return nil
	}
	if t := tableOf(name, "table "+name+" {\n"+text+"\n}\n"); t.Loaded != "" {
		return t
	}
	return nil
}

// noted returns the notes of a table.
func noted(name string) (list []stamp) {
	if data, err := os.ReadFile(stampPath(name)); err == nil {
		_ = host.Unmarshal(data, &list) // what can't be read tells nothing
	}
	return list
}

var (
	opens    = regexp.MustCompile(`^\t(set|map) \S+ \{$`)
	changing = regexp.MustCompile(`^\t\t(flags .*\b(dynamic|timeout)\b|timeout )`)
)

// shape is a listing without the elements of sets and maps that packets, or time, change.
func shape(listing string) string {
	var out, set []string
	inSet := false
	for _, line := range strings.Split(listing, "\n") {
		switch {
		case opens.MatchString(line):
			inSet, set = true, []string{line}
		case inSet && line == "\t}":
			out, inSet = append(out, unmoved(set)...), false
			out = append(out, line)
		case inSet:
			set = append(set, line)
		default:
			out = append(out, line)
		}
	}
	return strings.Join(out, "\n")
}

// unmoved is a set's lines without elements, where these change by themselves.
func unmoved(set []string) []string {
	moves := false
	for _, line := range set {
		moves = moves || changing.MatchString(line)
	}
	for i, line := range set {
		if moves && strings.HasPrefix(line, "\t\telements = ") { // what a set has last
			return set[:i]
		}
	}
	return set
}

// LoadTable puts a table into the kernel, in the place of the one there is, or removes it.
type LoadTable struct {
	Table   string       `json:"table"`
	Content host.Content `json:"content"`          // what is loaded
	Wants   string       `json:"wants"`            // the sum of the table's text; "" for none
	Before  *table       `json:"before,omitempty"` // nil: there is none
}

// Type is "nftables.load/1".
func (*LoadTable) Type() string { return "nftables.load/1" }

// Want is what is loaded.
func (l *LoadTable) Want() any { return LoadTable{Table: l.Table, Wants: l.Wants} }

// Describe names the table. What changes in it is shown by the file that is read at boot.
func (l *LoadTable) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: "table " + l.Table}
	switch {
	case l.Wants == "":
		d.Action = host.Delete
	case l.Before == nil:
		d.Action = host.Create
	case l.Before.Loaded == "":
		d.Impact = "replaces rules that muster hasn't loaded, or that were altered since"
	}
	return d
}

// Effects is the table.
func (l *LoadTable) Effects() []host.Effect {
	if l.Wants == "" {
		return []host.Effect{host.Gone(tableKey(l.Table))}
	}
	return []host.Effect{host.Is(tableKey(l.Table), table{Loaded: l.Wants})}
}

// Apply loads the table in one transaction of the kernel's, and notes how it is listed.
func (l *LoadTable) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	text, err := h.Bodies.Read(ctx, l.Content, contentLimit+4096)
	if err != nil {
		return host.Result{}, err
	}
	now, err := read(ctx, h.Runner.Run, l.Table)
	if err != nil {
		return host.Result{}, err
	}
	made := now == nil && l.Wants == "" || now != nil && l.Wants != "" && now.Loaded == l.Wants
	same := now == nil && l.Before == nil || now != nil && l.Before != nil && now.Shape == l.Before.Shape
	if !made && !same {
		return host.Result{}, fmt.Errorf("table %s: %w", l.Table, host.ErrMoved)
	}
	if _, err := h.Run(ctx, host.Command{Argv: []string{nft, "-f", "-"}, Stdin: strings.NewReader(string(text))}); err != nil {
		return host.Result{}, err
	}
	if err := h.At("loaded the table"); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, l.note(ctx, h)
}

// note keeps how the table is listed.
func (l *LoadTable) note(ctx context.Context, h *host.Host) error {
	if l.Wants == "" {
		return nil
	}
	now, err := read(ctx, h.Runner.Run, l.Table)
	if err != nil {
		return err
	}
	if now == nil {
		return fmt.Errorf("table %s was removed at once by somebody else: %w", l.Table, host.ErrMoved)
	}
	d, err := host.MakeDirs(stamps, 0o700)
	if err != nil {
		return err
	}
	d.Close()
	list := []stamp{{Loaded: l.Wants, Shape: now.Shape}}
	for _, s := range noted(l.Table) {
		if s.Shape != now.Shape && len(list) < 2 {
			list = append(list, s)
		}
	}
	data, err := host.Marshal(list)
	if err != nil {
		return err
	}
	return host.Put(stampPath(l.Table), data, 0o600)
}
