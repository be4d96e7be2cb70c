package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// names is the value of a flag that takes names or patterns, with commas between
// them, and may be given several times. An empty one is refused: it is mostly a
// variable of a script that isn't set, and the flag would choose everything.
type names struct{ list *[]string }

// errEmptyName is the error of names for an empty one.
var errEmptyName = errors.New("a name is empty; to choose all, leave the flag out")

// Set adds the names in text.
func (n names) Set(text string) error {
	list := strings.Split(text, ",")
	for i := range list {
		if list[i] = strings.TrimSpace(list[i]); list[i] == "" {
			return errEmptyName
		}
	}
	*n.list = append(*n.list, list...)
	return nil
}

func (n names) String() string {
	if n.list == nil { // as pflag makes one, to learn what is shown for the zero value
		return ""
	}
	return strings.Join(*n.list, ",")
}

// Type is what pflag calls the value.
func (n names) Type() string { return "names" }

// quietFlag is that of commands which a timer may run.
func (a *app) quietFlag(cmd *cobra.Command) {
	cmd.Flags().BoolVarP(&a.quiet, "quiet", "q", false, "show nothing where all is well and nothing changes")
}

// unlessQuiet has show called, with --quiet only where something else is to be seen.
func (a *app) unlessQuiet(show func()) {
	if a.quiet {
		a.view()
		a.held.Hold(show)
		return
	}
	show()
}

// emptyFlag refuses a flag that is given with an empty text, as by a script whose
// variable isn't set: it would count as not given, and another inventory, say, be
// taken.
func emptyFlag(flags *pflag.FlagSet) error {
	var err error
	flags.Visit(func(f *pflag.Flag) {
		if err == nil && f.Value.Type() == "string" && f.Value.String() == "" {
			err = fmt.Errorf("--%s is given, and is empty; leave it out, or say what it is to be", f.Name)
		}
	})
	return err
}

// choosesHosts are the commands that --limit leaves hosts out of, as they are typed.
func choosesHosts() []string {
	return []string{
		"muster plan", "muster apply", "muster drift", "muster run", "muster facts", "muster trust", "muster bootstrap",
		"muster inventory list", "muster schedule install", "muster schedule remove",
		"muster rotate", // which says itself why it takes none
	}
}

// limitless refuses --limit where a command has no hosts to choose: it would be passed over
// without a word, and what is done be taken for what was asked for.
func limitless(cmd *cobra.Command) error {
	if cmd.Flags().Changed("limit") && !slices.Contains(choosesHosts(), cmd.CommandPath()) {
		return fmt.Errorf("--limit chooses hosts, and %q has none to choose: leave it out", cmd.CommandPath())
	}
	return nil
}

// atOnce is the value of a flag that takes a number of hosts, 1 or more.
type atOnce struct{ n *int }

// Set takes the number.
func (v atOnce) Set(text string) error {
	n, err := strconv.Atoi(text)
	if err == nil && n < 1 {
		err = strconv.ErrRange
	}
	if err == nil {
		*v.n = n
	}
	return err
}

func (v atOnce) String() string {
	if v.n == nil || *v.n == 0 {
		return ""
	}
	return strconv.Itoa(*v.n)
}

// Type is what pflag calls the value.
func (v atOnce) Type() string { return "hosts" }
