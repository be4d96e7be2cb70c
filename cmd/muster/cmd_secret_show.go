package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"

	"muster/host"
	"muster/internal/project"
	"muster/internal/usage"
	"muster/internal/vault"
	"muster/internal/view"
)

func newSecretGet(a *app) *cobra.Command {
	version := "current"
	cmd := &cobra.Command{
		Use:   "get NAME",
		Short: "Show a secret's value",
		Long:  "Get prints a secret's value and a line break. Only this one is opened.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			s, err := a.readStore()
			if err != nil {
				return err
			}
			if i, ok := s.Info(args[0]); ok && i.From != "" {
				value, err := s.Ask(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				return a.showValue(args[0], vault.Version{Value: value})
			}
			if err := a.unlock(s); err != nil {
				return err
			}
			v, err := s.Get(args[0])
			if err != nil {
				return found(s, args[0], a.storeError(err, s.Path, nil))
			}
			one, err := pick(args[0], v, version)
			if err != nil {
				return err
			}
			return a.showValue(args[0], one)
		},
	}
	cmd.Flags().StringVar(&version, "version", version, "the `VERSION`: current, pending, previous, or its number")
	return cmd
}

func (a *app) showValue(name string, v vault.Version) error {
	if a.output == "json" {
		return view.NewEncoder(a.out).Encode(struct {
			Name    string `json:"name"`
			Version int    `json:"version,omitempty"`
			Value   string `json:"value"`
		}{name, v.Number, v.Value.Reveal()})
	}
	_, err := fmt.Fprintln(a.out, v.Value.Reveal())
	return err
}

// pick is a version by its name or number.
func pick(name string, v vault.Versions, which string) (vault.Version, error) {
	one, ok := map[string]vault.Version{"current": v.Current, "pending": v.Pending, "previous": v.Previous}[which]
	if !ok {
		number, err := strconv.Atoi(which)
		if err != nil || number < 1 {
			return one, fmt.Errorf("--version is current, pending, previous or a number, not %q", which)
		}
		for _, o := range []vault.Version{v.Current, v.Pending, v.Previous} {
			if o.Number == number {
				one = o
			}
		}
		which = "version " + which
	}
	if one.Number == 0 {
		return one, fmt.Errorf("%s has no %s; its current version is %d", name, strings.TrimSuffix(which+" version", " version"), v.Current.Number)
	}
	return one, nil
}

// listedSecret is a secret as "secret list" tells it.
type listedSecret struct {
	Name        string     `json:"name"`
	Description string     `json:"description,omitempty"`
	Owner       string     `json:"owner,omitempty"`
	Created     vault.Date `json:"created,omitempty"`
	Rotated     vault.Date `json:"rotated,omitempty"`
	Age         int        `json:"age_days"`
	Every       string     `json:"every,omitempty"`
	Due         vault.Date `json:"due,omitempty"`
	Overdue     bool       `json:"overdue"`
	From        string     `json:"from,omitempty"`
	Current     int        `json:"current,omitempty"`
	Pending     int        `json:"pending,omitempty"`
	Previous    int        `json:"previous,omitempty"`
	// UsedIn are the places of the project that read it; none for a store without one.
	UsedIn []usage.Place `json:"used_in"`
}

func newSecretList(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "List secrets, with their age, when they are due and where they are used",
		Long: "List shows what the store says of its secrets in clear, and where the project's files read them: the first place, and how many more there are; --output json has all. " +
			"A place whose text computes the name (secret[\"db/${host.name}\"]) counts for each secret that it may be. " +
			"Where a rotation in " + rotationFolder + " says how often a secret is changed, that counts, and else what the store says.\n\nIt needs no identity; where there is one that opens the store, it also checks that the file is whole.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			s, err := a.readStore()
			if err != nil {
				return err
			}
			if err := a.verified(s); err != nil {
				return err
			}
			return a.listSecrets(s)
		},
	}
}

// verified checks the store's seals where that can be done, and else says so.
func (a *app) verified(s *vault.Store) error {
	if !s.Sealed() {
		return nil
	}
	ids, _, err := a.identities()
	if err == nil {
		err = s.Unlock(ids...)
		var wrong *vault.WrongKeyError
		if err == nil || !errors.As(err, &wrong) {
			return a.storeError(err, s.Path, nil)
		}
	}
	a.view().Warn("no identity of yours opens the store: whether it is whole isn't checked")
	return nil
}

// usage is where the project reads its secrets; of a store that belongs to none, nowhere.
func (a *app) usage() *usage.Uses {
	p, diags := project.Find(".")
	if diags.HasErrors() || p.Dir == "" {
		return &usage.Uses{}
	}
	return usage.Project(p.Dir)
}

func (a *app) listSecrets(s *vault.Store) error {
	uses := a.usage()
	today := vault.Today()
	list := []listedSecret{}
	for _, name := range slices.Sorted(slices.Values(s.Names())) {
		i, _ := s.Info(name)
		if every := uses.Every(name); every != "" {
			i.Every = every
		}
		due := i.DueOn()
		list = append(list, listedSecret{
			Name: name, Description: i.Description, Owner: i.Owner, Created: i.Created, Rotated: i.Rotated, Age: today.Since(i.Rotated), Every: i.Every,
			Due: due, Overdue: due != "" && due <= today, From: i.From, Current: i.Current, Pending: i.Pending, Previous: i.Previous,
			UsedIn: append([]usage.Place{}, uses.Of(name)...),
		})
	}
	if a.output == "json" {
		return view.NewEncoder(a.out).Encode(list)
	}
	if len(list) == 0 {
		_, err := fmt.Fprintln(a.out, "There are no secrets yet: muster secret set NAME adds one.")
		return err
	}
	rows := [][]string{{"NAME", "AGE", "DUE", "OWNER", "VERSIONS", "USED IN", "DESCRIPTION"}}
	for _, l := range list {
		due := string(l.Due)
		if l.Overdue {
			due += " (overdue)"
		}
		versions, age := strconv.Itoa(l.Current), fmt.Sprintf("%dd", l.Age)
		if l.From != "" {
			versions, age = "from "+l.From, ""
		}
		if l.Pending != 0 {
			versions += ", pending " + strconv.Itoa(l.Pending)
		}
		if l.Previous != 0 {
			versions += ", previous " + strconv.Itoa(l.Previous)
		}
		rows = append(rows, []string{l.Name, age, due, l.Owner, versions, firstUse(l.UsedIn), l.Description})
	}
	return a.table(rows)
}

// firstUse is the first of a secret's places, and how many more there are.
func firstUse(list []usage.Place) string {
	if len(list) == 0 {
		return ""
	}
	text := fmt.Sprintf("%s:%d", list[0].File, list[0].Line)
	if more := len(list) - 1; more > 0 {
		text += fmt.Sprintf(" +%d", more)
	}
	return text
}

// table prints rows with their columns aligned. Of a cell that is empty a "-" tells.
func (a *app) table(rows [][]string) error {
	widths := make([]int, len(rows[0]))
	for _, row := range rows {
		for i := range row {
			if row[i] = view.CleanLine(row[i]); row[i] == "" {
				row[i] = "-"
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
	}
	for _, row := range rows {
		var b strings.Builder
		for i, cell := range row {
			b.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
		}
		if _, err := fmt.Fprintln(a.out, strings.TrimRight(b.String(), " ")); err != nil {
			return err
		}
	}
	return nil
}

func newSecretCheck(a *app) *cobra.Command {
	detailed := false
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Open every secret, and say what somebody should see to",
		Long: "Check opens every value and checks every seal: what is broken is an error. It lists what is due, what people who have left have seen and hasn't been rotated since, " +
			"values that are too short or the name of something, and recipients that the store isn't sealed to yet.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := a.openStore()
			if s != nil && !s.Sealed() { // programs have all of them
				return a.checked(s, nil, detailed)
			}
			if err != nil {
				return err
			}
			known := a.projectNames(cmd.Context())
			list, err := s.Check(vault.Today(), func(value string) string { return known[value] })
			if err != nil {
				return a.storeError(err, s.Path, nil)
			}
			return a.checked(s, list, detailed)
		},
	}
	cmd.Flags().BoolVar(&detailed, "detailed-exitcode", false, "exit 2 where somebody should see to something")
	return cmd
}

func (a *app) checked(s *vault.Store, list []vault.Concern, detailed bool) error {
	if a.output == "json" {
		type concern struct {
			Name string `json:"name,omitempty"`
			Text string `json:"text"`
		}
		out := struct {
			Secrets    int       `json:"secrets"`
			Generation int       `json:"generation"`
			Concerns   []concern `json:"concerns"`
		}{len(s.Names()), s.Generation(), []concern{}}
		for _, c := range list {
			out.Concerns = append(out.Concerns, concern(c))
		}
		if err := view.NewEncoder(a.out).Encode(out); err != nil {
			return err
		}
	} else {
		for _, c := range list {
			fmt.Fprintln(a.out, view.CleanLine(strings.TrimSpace(c.Name+" "+c.Text)))
		}
		n := len(s.Names())
		if s.Sealed() {
			fmt.Fprintf(a.out, "%s is whole: %s, sealed to %s.\n", s.Path, host.Counted(n, "secret", "secrets"), recipientNames(s.Recipients()))
		} else {
			fmt.Fprintf(a.out, "%s has no values: programs have all of its %s.\n", s.Path, host.Counted(n, "secret", "secrets"))
		}
	}
	if detailed && len(list) > 0 {
		return exitError(exitPending)
	}
	return nil
}

func recipientNames(list []vault.Recipient) string {
	var names []string
	for _, r := range list {
		names = append(names, view.CleanLine(r.Name))
	}
	return strings.Join(names, ", ")
}
