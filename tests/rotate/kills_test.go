package rotate

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"muster/tests/await"
	"muster/tests/lab"
	"muster/tests/operator"
)

// runLimit is how long a rotation may take that lost a host.
const runLimit = 5 * time.Minute

// cutOff makes rotations, each of which loses muster or a host at the next thing that
// muster says, and goes on with them.
func (p *project) cutOff(what string) {
	for n := 1; !p.t.Failed(); n++ {
		if !p.cutOffAt(what, n) {
			if n <= p.steps {
				p.t.Errorf("muster said only %d things", n-1)
			}
			return
		}
	}
}

// cutOffAt cuts a rotation off at the nth thing that muster says, and ends it. It reports
// whether muster has said so many.
func (p *project) cutOffAt(what string, n int) bool {
	t := p.t
	p.load.begin(p)
	old := p.values().current
	step, hit := p.runInto(what, n)
	if !hit {
		return false
	}
	then := p.values()
	when := fmt.Sprintf("%s killed at %q (%s),", what, step, then)
	t.Log(when)
	p.boot(what, when)
	// A server is there again some time after its host.
	if !await.True(t.Context(), func() bool { return p.works(then) }) {
		t.Errorf("%s no value works that is to", when)
	}
	p.unchanged(when)
	if then.open() || then.current == old {
		p.ends(0, "rotate", p.rotates(), "--yes")
	}
	now := p.values()
	if now.current == old {
		t.Errorf("%s the value is the old one in the end", when)
	}
	p.one(old)
	p.unchanged("at the end, " + when)
	served, failed := p.load.counts(p)
	refused := 0
	for _, said := range failed {
		if what == "muster" || p.outage == nil || !p.outage.MatchString(said) {
			if refused++; refused == 1 {
				t.Errorf("%s an operation failed: %s", when, said)
			}
		}
	}
	p.row(what, step, then, now, served, refused, len(failed)-refused)
	return true
}

// works reports whether a value works that the store has.
func (p *project) works(v values) bool {
	return p.lets(p, v.current) || p.cutover && v.pending != "" && p.lets(p, v.pending)
}

// runInto rotates, and kills something at the nth thing that muster says, which it returns.
func (p *project) runInto(what string, n int) (step string, hit bool) {
	ctx, cancel := context.WithTimeout(p.t.Context(), runLimit)
	defer cancel()
	cmd := p.command(ctx, "rotate", p.rotates(), "--yes")
	said, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		p.t.Fatal(err)
	}
	var all []string
	for scan := bufio.NewScanner(said); scan.Scan(); {
		all = append(all, scan.Text())
		if len(all) == n {
			step, hit = scan.Text(), true
			p.kill(what, cmd)
		}
	}
	var exit *exec.ExitError
	err = cmd.Wait()
	if ctx.Err() != nil || err != nil && !errors.As(err, &exit) || err != nil && !hit {
		p.t.Fatalf("rotating: %v\n%s", errors.Join(err, ctx.Err()), strings.Join(all, "\n"))
	}
	return step, hit
}

// victim is the name of the host that is meant; "" for muster.
func (p *project) victim(what string) string {
	return map[string]string{"consumer": p.consumer, "acceptor": p.acceptor, "bastion": lab.Bastion}[what]
}

func (p *project) kill(what string, cmd *exec.Cmd) {
	p.t.Helper()
	if what == "muster" {
		_ = cmd.Process.Kill()
		return
	}
	if err := theLab.Host(p.victim(what)).Kill(); err != nil {
		p.t.Fatal(err)
	}
}

// boot gives a host its power again, and waits until all is as it was: a server is there
// some time after its host, and a replica tries its primary once a minute.
func (p *project) boot(what, when string) {
	p.t.Helper()
	host := p.victim(what)
	if host == "" {
		return
	}
	if err := theLab.Host(host).Boot(p.t.Context()); err != nil {
		p.t.Fatal(err)
	}
	settled := func() bool {
		return operator.Run(p.t, p.command(p.t.Context(), "plan", "site.hcl", "--detailed-exitcode")).Code == 0
	}
	for range 2 {
		if await.True(p.t.Context(), settled) {
			return
		}
	}
	p.unchanged(when)
	p.t.FailNow()
}

// row adds a kill to the table that KILLS_LOG names.
func (p *project) row(what, step string, then, now values, served, refused, outage int) {
	p.t.Helper()
	path := os.Getenv("KILLS_LOG")
	if path == "" {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o644)
	if err != nil {
		p.t.Fatal(err)
	}
	defer f.Close()
	text := ""
	if st, err := f.Stat(); err == nil && st.Size() == 0 {
		text = "| rotation | at | killed | versions then | in the end | served | refused | while it was down |\n|---|---|---|---|---|---|---|---|\n"
	}
	end := "one value: " + now.String()
	if p.t.Failed() {
		end = "FAILED: " + now.String()
	}
	text += fmt.Sprintf("| %s | %s | %s | %s | %s | %d | %d | %d |\n", p.name, strings.ReplaceAll(step, "|", "\\|"), what, then, end, served, refused, outage)
	if _, err := f.WriteString(text); err != nil {
		p.t.Fatal(err)
	}
}
