// Command muster applies playbooks to hosts.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"

	"github.com/spf13/cobra"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/view"
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
	code := a.keepResult(a.writeReports(exitCode(a, err)))
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
	a.says(err.Error())
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
		Use:           "muster",
		Short:         "Apply HCL playbooks to hosts over SSH",
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// Cobra's own way to a line of this form takes text/template, which calls methods by
			// their names: the linker then keeps all methods of all libraries, 40 MB of them.
			if version, _ := cmd.Flags().GetBool("version"); version {
				_, err := fmt.Fprintf(a.out, "muster %s\n", view.Version)
				return err
			}
			return cmd.Help()
		},
		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error {
			return errors.Join(emptyFlag(cmd.Flags()), limitless(cmd))
		},
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
		newBootstrap(a), newInit(a), newValidate(a), newPlan(a), newApply(a), newDrift(a), newShow(a), newHistory(a), newWhy(a), newRunCommand(a), newFacts(a),
		newInventory(a), newSecret(a), newRotate(a), newSchedule(a), newNotify(a), newTrust(a), newDoc(a), newFmt(a), newVersion(a),
	)
	sayUsage(root)
	a.complete(root)
	root.SetFlagErrorFunc(flagError)
	root.Flags().Bool("version", false, "show muster's version")
	return root
}

// sayUsage makes the commands below cmd answer a wrong number of arguments with
// what they take, and those that have commands an unknown one with what is near.
func sayUsage(cmd *cobra.Command) {
	if cmd.HasSubCommands() {
		cmd.Args = func(c *cobra.Command, given []string) error {
			if len(given) > 0 {
				return unknownCommand(c, given[0])
			}
			return nil
		}
	}
	for _, c := range cmd.Commands() {
		sayUsage(c)
		args := c.Args
		if args == nil || c.HasSubCommands() {
			continue
		}
		c.Args = func(c *cobra.Command, given []string) error {
			if args(c, given) != nil {
				return fmt.Errorf("%s; the command is %s", argumentsGiven(given), c.UseLine())
			}
			return nil
		}
	}
}

// argumentsGiven counts the arguments of a command that takes another number of them.
func argumentsGiven(args []string) string {
	if len(args) == 0 {
		return "no argument is given"
	}
	return host.Counted(len(args), "argument is given", "arguments are given")
}
