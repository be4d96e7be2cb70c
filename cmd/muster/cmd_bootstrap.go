package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclwrite"
	"github.com/spf13/cobra"
	"github.com/zclconf/go-cty/cty"
	"golang.org/x/term"

	"muster/internal/engine"
	"muster/inventory"
	"muster/transport"
)

// healthTag marks the tasks that prove, in a login of their own, that a machine works.
const healthTag = "health"

// machines is the group of the hosts that bootstrap makes.
const machines = "dev"

func newBootstrap(a *app) *cobra.Command {
	b := bootstrap{app: a}
	cmd := &cobra.Command{
		Use:   "bootstrap [[USER@]HOST]",
		Short: "Make a working machine of a bare one: this one, or another",
		Long: "Bootstrap checks a bare Debian or Ubuntu machine, shows what a playbook would make of it, asks once, makes it, and proves in a new login that it works. " +
			"Without HOST the machine is this one. The playbook is playbooks/dev_vm.hcl, or --playbook; the machine is the one host of its group dev.\n\n" +
			"What goes wrong with one task that may fail stops no other: it is listed at the end, with what to do. Secrets that can't be opened yet are listed, too; what needs them comes with the next run. " +
			"A run that was interrupted is gone on with by the same command, and one on a machine that works brings it up to date.\n\n" +
			"HOST is a name of the inventory, or an address. One whose key isn't known shows it, and is asked about; without a terminal, --fingerprint says which it has to be. " +
			"One that takes only a password is given your public key, which is proved in a new login; then it is told to take no passwords any more, which is proved, or taken back. " +
			"Passwords are asked for at the terminal, or are the first line of standard input where there is none.",
		Example: "  muster bootstrap\n  muster bootstrap ada@192.0.2.17 --playbook playbooks/dev_vm.hcl",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 {
				b.at = args[0]
				if _, host, found := strings.Cut(b.at, "@"); b.at == "" || found && host == "" {
					return fmt.Errorf("%q names no machine: leave it out for this one, or give [USER@]HOST", b.at)
				}
			}
			return b.run(cmd.Context())
		},
	}
	cmd.Flags().StringVar(&b.playbook, "playbook", "", "the `PLAYBOOK` of the machine (default: playbooks/dev_vm.hcl of the project)")
	cmd.Flags().StringVar(&b.fingerprint, "fingerprint", "", "trust a host that isn't known if its key is `SHA256:…`")
	cmd.Flags().BoolVarP(&b.yes, "yes", "y", false, "don't ask")
	return cmd
}

// bootstrap is one machine's.
type bootstrap struct {
	*app
	at          string // [USER@]HOST; "": this machine
	playbook    string
	fingerprint string
	yes         bool

	host     *inventory.Host
	loaded   *loaded
	failures []failure
	waiting  []string // tasks that wait for secrets
}

// failure is a task that hasn't come to what it should.
type failure struct{ task, err string }

func (b *bootstrap) run(ctx context.Context) error {
	done, err := b.machine(ctx)
	if err != nil {
		return err
	}
	defer done()
	l, diags, err := b.load(ctx, false)
	if err != nil {
		return err
	}
	if err := b.fail(diags, l.sources); err != nil {
		return err
	}
	if b.playbook, err = b.chosenPlaybook(l); err != nil {
		return err
	}
	b.loaded = l
	if err := b.choose(); err != nil {
		return err
	}
	if !b.yes && !term.IsTerminal(int(b.in.Fd())) {
		return errNoTerminal
	}
	if err := b.showKey(); err != nil {
		return err
	}
	// What is wrong in the playbook, or in its variables, is told before anything else is done.
	b.secretsLater = true
	if _, err := b.playbookOf(l, diags, b.playbook, true, nil); err != nil {
		return err
	}
	if !b.host.Target().Local {
		if err := b.enter(ctx); err != nil {
			return err
		}
	}
	if err := b.check(ctx); err != nil {
		return err
	}
	made := b.pass(ctx, passOptions{skip: []string{healthTag}})
	if made.ended != nil && !made.worked {
		if !errors.Is(made.ended, errShown) { // nor was anything made
			b.conclude(made, passed{})
		}
		return made.ended
	}
	if made.declined {
		return nil
	}
	health := b.pass(ctx, passOptions{only: []string{healthTag}, login: true})
	b.conclude(made, health)
	return errors.Join(made.ended, health.ended)
}

// name is HOST, and who logs in there where that is said.
func (b *bootstrap) name() (user, name string) {
	user, name, found := strings.Cut(b.at, "@")
	switch {
	case b.at == "":
		return "", "localhost"
	case !found:
		return "", b.at
	}
	return user, name
}

// machine has HOST be the one host of an inventory, unless there is one that has it, and
// returns what ends that.
func (b *bootstrap) machine(ctx context.Context) (done func(), err error) {
	user, name := b.name()
	if b.inventoryFile == "" {
		l, _, err := b.load(ctx, true)
		if err != nil {
			return nil, err
		}
		h, ok := l.inventory.Host(name)
		if ok && (b.at != "" || slices.Contains(h.Groups, machines)) {
			return func() {}, nil // of the project's
		}
	} else {
		return func() {}, nil
	}
	dir, err := os.MkdirTemp("", "muster-bootstrap-")
	if err != nil {
		return nil, err
	}
	f := hclwrite.NewEmptyFile()
	h := f.Body().AppendNewBlock("group", []string{machines}).Body().AppendNewBlock("host", []string{name}).Body()
	if b.at == "" {
		h.SetAttributeValue("connection", cty.StringVal("local"))
	} else {
		h.SetAttributeValue("address", cty.StringVal(name))
	}
	if user != "" {
		h.SetAttributeValue("user", cty.StringVal(user))
	}
	b.inventoryFile = filepath.Join(dir, "bootstrap.hcl")
	return func() { _ = os.RemoveAll(dir) }, os.WriteFile(b.inventoryFile, f.Bytes(), 0o600)
}

// chosenPlaybook is the one that --playbook names, or the project's.
func (b *bootstrap) chosenPlaybook(l *loaded) (string, error) {
	if b.playbook != "" {
		return b.playbook, nil
	}
	if l.project.Dir == "" {
		return "", errors.New("there is no project here (no muster.hcl in this folder or above): go to a clone of the team's, or give --playbook")
	}
	file := near(filepath.Join(l.project.Dir, "playbooks", "dev_vm.hcl"))
	if missing(file) {
		return "", fmt.Errorf("the project has no %s: give --playbook", file)
	}
	return file, nil
}

// choose finds the machine in the inventory.
func (b *bootstrap) choose() error {
	user, name := b.name()
	h, ok := b.loaded.inventory.Host(name)
	switch {
	case !ok:
		return fmt.Errorf("there is no host %q in the inventory", name)
	case !slices.Contains(h.Groups, machines):
		return fmt.Errorf("%s isn't in the group %s, whose hosts are made so: add it there", name, machines)
	case user != "" && h.Target().User != user:
		return fmt.Errorf("the inventory says who logs in to %s: leave out %s@", name, user)
	}
	b.host, b.limit = h, []string{name}
	return nil
}

// showKey makes the user's identity, and says what a colleague has to do with it.
func (b *bootstrap) showKey() error {
	keys, err := b.ownKeys()
	if err != nil {
		return err
	}
	fmt.Fprintf(b.err, "For a colleague, to let you read the team's secrets (a line of the store, then \"muster secret rekey\"):\n")
	for _, key := range keys {
		fmt.Fprintf(b.err, "  recipient %q { key = %q }\n", loginName(), key)
	}
	return nil
}

// passOptions say which tasks are made, and how.
type passOptions struct {
	only, skip []string // tags
	login      bool     // in a login that is new on this machine, too
}

// passed is what became of a pass over the playbook.
type passed struct {
	ended    error
	worked   bool // it came to its end, whatever failed
	declined bool
	tasks    int // that were looked at, or made
	changed  int // that were made
}

// pass applies the playbook, or a part of it, over connections of its own.
func (b *bootstrap) pass(ctx context.Context, o passOptions) (p passed) {
	only, skip, login := b.tags, b.skipTags, b.newLogin
	defer func() { b.tags, b.skipTags, b.newLogin = only, skip, login }()
	b.tags, b.skipTags, b.newLogin = o.only, o.skip, o.login
	l, diags, err := b.load(ctx, false)
	if err != nil {
		return passed{ended: err}
	}
	seen := map[string]bool{}
	r, err := b.prepareIn(l, diags, request{file: b.playbook, again: true, start: time.Now(), watch: func(e engine.Event) { b.watch(e, seen) }})
	if err != nil {
		return passed{ended: err}
	}
	defer r.close()
	p.ended = b.apply(ctx, r, b.yes || o.login)
	s := r.run.Summary()
	for _, c := range s.Hosts {
		p.changed += c.Changed
		p.tasks += c.Unchanged + c.Changed + c.Pending + c.Failed
	}
	p.declined = p.ended == nil && s.Pending()
	p.worked = s.Outcome != engine.OutcomeInterrupted && s.Outcome != engine.OutcomeUnreachable && ctx.Err() == nil
	var code exitError
	p.worked = p.worked && (p.ended == nil || errors.As(p.ended, &code) && code != exitInterrupted)
	return p
}

// unreachable reports whether the machine couldn't be reached, and how far that came.
func unreachable(err error) (transport.Stage, bool) {
	var u *transport.UnreachableError
	if errors.As(err, &u) {
		return u.Stage, true
	}
	return "", false
}
