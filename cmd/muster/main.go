// Command muster applies playbooks to hosts.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"muster/internal/engine"
	"muster/internal/view"
	"muster/modules"
)

// The exit codes, the first that holds.
const (
	exitInterrupted = 130
	exitUsage       = 1 // usage, configuration, or an error of muster's own
	exitFailed      = 4 // a host failed, after login
	exitUnreachable = 5 // a host couldn't be reached
	exitPending     = 2 // changes are pending, or drift
)

func main() {
	keepIgnoring()
	os.Exit(run(os.Args[1:]))
}

// run runs a command line and returns the exit code.
func run(args []string) int {
	out := &results{File: os.Stdout}
	a := &app{args: args, out: out, err: os.Stderr, in: os.Stdin}
	root := newRoot(a)
	root.SetArgs(args)
	err := root.ExecuteContext(context.Background())
	code := exitCode(a, err)
	if out.err != nil && code != exitInterrupted && code != exitUsage {
		fmt.Fprintf(os.Stderr, "error: what was done or found could not all be shown: %s\n", out.err)
		code = exitUsage
	}
	return code
}

// results is standard output. It keeps the first error, since those who read
// half of what a run says must not take it for the whole.
type results struct {
	*os.File
	mu  sync.Mutex
	err error
}

func (r *results) Write(p []byte) (int, error) {
	n, err := r.File.Write(p)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.err == nil {
		r.err = err
	}
	return n, err
}

// errShown is an error that the user has been told of.
var errShown = errors.New("already shown")

// exitError is an end with an exit code of its own.
type exitError int

func (e exitError) Error() string { return fmt.Sprintf("exit code %d", int(e)) }

// exitCode is the only map from errors to exit codes.
func exitCode(a *app, err error) int {
	var code exitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &code):
		return int(code)
	case errors.Is(err, errShown):
		return exitUsage
	case errors.Is(err, context.Canceled):
		return exitInterrupted
	}
	a.view().Error(err)
	return exitUsage
}

// ended maps what a run came to.
func ended(s *engine.Summary, detailed bool) error {
	failed, unreachable := false, false
	for _, c := range s.Hosts {
		failed = failed || c.Failed > c.Tolerated
		unreachable = unreachable || c.Unreachable
	}
	switch {
	case s.Outcome == engine.OutcomeInterrupted:
		return exitError(exitInterrupted)
	case failed:
		return exitError(exitFailed)
	case unreachable:
		return exitError(exitUnreachable)
	case detailed && s.Drift():
		return exitError(exitPending)
	}
	return nil
}

func newRoot(a *app) *cobra.Command {
	root := &cobra.Command{
		Use:               "muster",
		Short:             "Apply HCL playbooks to hosts over SSH",
		SilenceErrors:     true,
		SilenceUsage:      true,
		Version:           view.Version,
		RunE:              func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return emptyFlag(cmd.Flags()) },
	}
	root.SetOut(a.out)
	root.SetErr(a.err)
	f := root.PersistentFlags()
	f.StringVarP(&a.inventoryFile, "inventory", "i", "", "inventory `FILE` or folder, instead of the project's")
	f.StringVar(&a.storeFile, "store", "", "store `FILE` of secrets, instead of the project's")
	f.Var(names{&a.limit}, "limit", "only hosts that match `PATTERNS`, with commas between them")
	f.StringArrayVar(&a.vars, "var", nil, "set a variable: `NAME=VALUE`")
	f.StringArrayVar(&a.varFiles, "var-file", nil, "read variables from `FILE`")
	f.Var(atOnce{&a.parallel}, "parallel", "work on `N` hosts at once (default: all)")
	f.BoolVar(&a.askBecome, "ask-become-pass", false, "ask for the password that sudo wants")
	f.StringVar(&a.output, "output", "", "`FORMAT` of what is shown: pretty, plain or json")
	f.BoolVar(&a.noColor, "no-color", false, "no colours (also: NO_COLOR)")
	f.BoolVarP(&a.verbose, "verbose", "v", false, "show unchanged and skipped tasks too")
	root.AddCommand(
		newInit(a), newValidate(a), newPlan(a), newApply(a), newShow(a), newHistory(a), newRunCommand(a), newFacts(a),
		newInventory(a), newSecret(a), newRotate(a), newTrust(a), newDoc(a), newFmt(a), newVersion(a),
	)
	sayUsage(root)
	root.SetFlagErrorFunc(flagError)
	root.Flags().Bool("version", false, "show muster's version")
	root.SetVersionTemplate("muster {{.Version}}\n")
	return root
}

// sayUsage makes the commands below cmd answer a wrong number of arguments with
// what they take.
func sayUsage(cmd *cobra.Command) {
	for _, c := range cmd.Commands() {
		sayUsage(c)
		args := c.Args
		if args == nil || c.HasSubCommands() {
			continue
		}
		c.Args = func(c *cobra.Command, given []string) error {
			if args(c, given) != nil {
				return fmt.Errorf("%d arguments are given; the command is %s", len(given), c.UseLine())
			}
			return nil
		}
	}
}

// flagError says which flag was probably meant, or what a flag takes.
func flagError(cmd *cobra.Command, err error) error {
	var unknown *pflag.NotExistError
	var invalid *pflag.InvalidValueError
	switch {
	case errors.As(err, &unknown) && len(unknown.GetSpecifiedName()) > 1:
		var names []string
		cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
		if near := modules.Nearest(unknown.GetSpecifiedName(), names); near != "" {
			return fmt.Errorf("there is no flag --%s: did you mean --%s?", unknown.GetSpecifiedName(), near)
		}
		return fmt.Errorf("there is no flag --%s: see %s --help", unknown.GetSpecifiedName(), cmd.CommandPath())
	case errors.As(err, &invalid):
		if _, ok := invalid.GetFlag().Value.(names); ok {
			return fmt.Errorf("--%s %q: %w", invalid.GetFlag().Name, invalid.GetValue(), errEmptyName)
		}
		what := map[string]string{"int": "a whole number", "hosts": "a whole number of hosts, 1 or more", "bool": "true or false"}[invalid.GetFlag().Value.Type()]
		if what != "" {
			return fmt.Errorf("--%s takes %s, not %q", invalid.GetFlag().Name, what, invalid.GetValue())
		}
	}
	return err
}
