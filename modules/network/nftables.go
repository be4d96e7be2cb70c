package network

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"

	"muster/host"
	"muster/modules"
)

// Nftables is a table of the packet filter: the one in the kernel, and the one that is
// loaded at boot. Other tables, such as those of Docker, are left alone.
//
// The new table takes the place of the old one at once, as a whole. It is kept only if
// a new login to the host succeeds then; else the host puts the old one back. What is
// loaded at boot is written after that: a file in /etc/nftables.d, and a line in
// /etc/nftables.conf that reads it.
type Nftables struct {
	// The table, with its family: "inet filter".
	Table string `arg:"table,key,required"`
	// What stands between the table's braces: its chains and sets, as nft(8) has them.
	Content *host.Content `arg:"content"`
	// Interfaces that its rules name and that have to be there, or be made by an earlier task:
	// for nft any name is one.
	Interfaces []string `arg:"interfaces"`
	// "absent" removes the table, and what loads it at boot.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

const (
	nft         = "/usr/sbin/nft"
	bootFile    = "/etc/nftables.conf"
	bootFolder  = "/etc/nftables.d"
	bootService = "nftables.service"
	// contentLimit is the size, in bytes, of the largest table.
	contentLimit = 1 << 20
)

// tableForm is a family and a name: nft(8), "Tables" and "Identifiers".
var tableForm = regexp.MustCompile(`^(ip|ip6|inet|arp|bridge|netdev) [A-Za-z_][A-Za-z0-9_]{0,63}$`)

// Check refuses what is no table, and contradictions.
func (n *Nftables) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, summary, detail string) {
		errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: detail})
	}
	if !unknown("table") && !tableForm.MatchString(n.Table) {
		fail("table", "Wrong value", fmt.Sprintf(`%q is no table: it takes a family (ip, ip6, inet, arp, bridge, netdev) and a name, such as "inet filter".`, n.Table))
	}
	switch {
	case n.State == "absent" && len(n.Interfaces) > 0:
		fail("interfaces", "Conflicting arguments", "A table that is to be absent names no interfaces.")
	case n.State == "absent" && n.Content != nil:
		fail("content", "Conflicting arguments", "A table that is to be absent has no content.")
	case n.State != "absent" && n.Content == nil && !unknown("content") && !unknown("state"):
		fail("content", "Missing argument", `A table needs its "content".`)
	}
	return errs
}

func tableKey(table string) host.Key { return host.Key{Space: "nftables", Name: table} }

// file is what loads the table at boot.
func (n *Nftables) file() string {
	return bootFolder + "/" + strings.ReplaceAll(n.Table, " ", "-") + ".nft"
}

// May is the table and what loads it at boot.
func (n *Nftables) May() []host.Effect {
	return []host.Effect{host.Open("nftables", n.Table), host.Open(host.Files, n.file()), host.Open(host.Files, bootFolder), host.Open(host.Files, bootFile), host.Open(host.Units, bootService)}
}

// Plan compares the table in the kernel, and what loads it at boot.
func (n *Nftables) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var plan modules.Plan
	if !host.IsRoot() {
		return plan, errors.New(`only root can read the rules of the packet filter: give the task "become = true"`)
	}
	program, err := v.Stat(nft)
	if err != nil {
		return plan, err
	}
	if !program.Exists() {
		if n.State == "absent" {
			return plan, nil
		}
		return plan, errors.New(`there is no nft on this host: install it in an earlier task, task "package" "nftables" {}`)
	}
	if err := n.interfaces(ctx, v); err != nil {
		return plan, err
	}
	text, sensitive := "", false
	if n.Content != nil {
		body, err := v.Body(ctx, *n.Content, contentLimit)
		if err != nil {
			return plan, err
		}
		if err := closed(string(body)); err != nil {
			return plan, fmt.Errorf("the content of table %s: %w", n.Table, err)
		}
		text, sensitive = replacing(n.Table, string(body)), n.Content.Sensitive
	}
	if err := n.live(ctx, v, &plan, text, sensitive); err != nil {
		return modules.Plan{}, err
	}
	boot, err := n.boot(ctx, v, text, sensitive)
	if err != nil {
		return modules.Plan{}, err
	}
	plan.Changes = append(plan.Changes, boot...)
	return plan, nil
}

// live plans the table in the kernel, on probation.
func (n *Nftables) live(ctx context.Context, v *host.View, plan *modules.Plan, text string, sensitive bool) error {
	want := sumOf(text)
	now, err := host.Read(v, tableKey(n.Table), func() (*table, error) {
		run := func(ctx context.Context, c host.Command) (host.Output, error) { return v.Query(ctx, c) }
		if t := known(ctx, v, run, n.Table); t != nil && text != "" && t.Loaded == want {
			return t, nil
		}
		return read(ctx, run, n.Table)
	})
	if err != nil {
		return err
	}
	if now == nil && text == "" || now != nil && text != "" && now.Loaded == want {
		return nil
	}
	if text != "" {
		if err := accepts(ctx, v, text); err != nil {
			return fmt.Errorf("nft refuses table %s: %w", n.Table, err)
		}
	}
	load := &LoadTable{Table: n.Table, Wants: want, Before: now}
	back := emptying(n.Table)
	if now != nil {
		back += now.Text
		if err := accepts(ctx, v, back); now.Text != "" && err != nil {
			return fmt.Errorf("table %s as it is couldn't be put back, if nobody got in any more: nft refuses what it lists itself: %w", n.Table, err)
		}
	}
	if text == "" {
		text = emptying(n.Table)
	}
	load.Content = v.Keep([]byte(text), sensitive)
	if load.Before != nil {
		load.Before = &table{Shape: now.Shape, Loaded: now.Loaded}
	}
	plan.Changes = append(plan.Changes, load)
	plan.Probation = &modules.Probation{Changes: 1, Revert: host.Revert{Argv: []string{nft, "-f", "-"}, Input: []byte(back)}}
	return nil
}

// emptying is what leaves no table of a name, whether there was one or not.
func emptying(table string) string {
	return "add table " + table + "\ndelete table " + table + "\n"
}

// replacing is what puts a table in the place of the one there is, if any.
func replacing(table, body string) string {
	if !strings.HasSuffix(body, "\n") {
		body += "\n"
	}
	return emptying(table) + "table " + table + " {\n" + body + "}\n"
}

// closed returns an error for content that ends before its own end, so that something
// else than the table would be written: nft has neither escapes in strings, nor
// comments over several lines.
func closed(body string) error {
	depth, quoted, comment := 0, false, false
	for _, r := range body {
		switch {
		case r == 0:
			return errors.New("it holds a NUL")
		case comment:
			comment = r != '\n'
		case r == '"':
			quoted = !quoted
		case quoted:
		case r == '#':
			comment = true
		case r == '{':
			depth++
		case r == '}':
			depth--
		}
		if depth < 0 {
			return errors.New(`it has a "}" too many: content is what stands between the table's braces`)
		}
	}
	switch {
	case quoted:
		return errors.New("a string has no end")
	case depth > 0:
		return errors.New(`a "{" is left open`)
	}
	return nil
}

// accepts asks nft about text without loading it.
func accepts(ctx context.Context, v *host.View, text string) error {
	c := host.Command{Argv: []string{nft, "-c", "-f", "-"}, Stdin: strings.NewReader(text)}
	out, err := v.Query(ctx, c)
	if err == nil && out.ExitCode != 0 {
		err = &host.ExitError{Argv: c.Argv, Output: out}
	}
	return err
}
