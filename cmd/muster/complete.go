package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"muster/host"
	"muster/internal/doc"
	"muster/internal/journal"
	"muster/internal/lang"
	"muster/internal/lang/eval"
	"muster/internal/project"
	"muster/internal/report"
	"muster/internal/vault"
	"muster/internal/view"
)

// runsOffered is how many runs, the newest, a shell offers.
const runsOffered = 50

// offer is what a shell offers for an argument, after those that are there already. A line
// is a word, and after a tab what it is. Nothing that is wrong is said: there is no place
// for it beside a half-typed line. No host and no source of hosts is asked.
type offer func(ctx context.Context, args []string) []string

// completion is how a command's arguments are completed.
type completion struct {
	first, others offer // of the first argument, and of those after it; nil: nothing
	files         bool  // they are files, which are offered where nothing else fits
	lists         bool  // each is several with commas between
}

// complete makes the commands below root, and their flags, offer names to shells.
func (a *app) complete(root *cobra.Command) {
	words := func(list ...string) offer {
		return func(context.Context, []string) []string { return list }
	}
	every := func(o offer) completion { return completion{first: o, others: o} }
	pattern, patterns := completion{first: a.offerPatterns, lists: true}, completion{first: a.offerPatterns, others: a.offerPatterns, lists: true}
	playbooks := completion{first: a.offerPlaybooks, others: a.offerPlaybooks, files: true}
	one := completion{first: a.offerPlaybooks, files: true}
	scheduled := completion{first: words("drift", "rotations"), others: a.offerPlaybooks}
	arguments := map[string]completion{
		"muster plan": one, "muster apply": one, "muster validate": playbooks, "muster drift": playbooks,
		"muster show": {files: true}, "muster fmt": {files: true}, "muster init": {files: true}, "muster secret textconv": {files: true},
		"muster history": {first: a.offerRuns}, "muster why": {first: a.offerHosts}, "muster trust": patterns, "muster inventory show": {first: a.offerHosts},
		"muster run": pattern, "muster facts": pattern, "muster inventory list": patterns,
		"muster doc": {first: a.offerKinds}, "muster rotate": every(a.offerRotations),
		"muster secret get": {first: a.offerSecrets}, "muster secret set": {first: a.offerSecrets}, "muster secret generate": {first: a.offerSecrets},
		"muster secret describe": {first: a.offerSecrets}, "muster secret remove": {first: a.offerSecrets},
		"muster schedule install": scheduled, "muster schedule remove": {first: scheduled.first},
		"muster notify test": every(a.offerReceivers),
	}
	flags := map[string]offer{
		"limit": a.offerPatterns, "tags": a.offerTags, "skip-tags": a.offerTags, "output": words("pretty", "plain", "json"),
		"report": func(context.Context, []string) []string {
			var list []string
			for _, format := range report.Formats() {
				list = append(list, format+"=")
			}
			return list
		},
	}
	var below func(cmd *cobra.Command)
	below = func(cmd *cobra.Command) {
		if c, ok := arguments[cmd.CommandPath()]; ok || !cmd.HasSubCommands() {
			cmd.ValidArgsFunction = c.complete
		}
		for name, o := range flags {
			if cmd.LocalNonPersistentFlags().Lookup(name) != nil || cmd.PersistentFlags().Lookup(name) != nil {
				if err := cmd.RegisterFlagCompletionFunc(name, completeFlag(name, o)); err != nil {
					panic(err) // a flag has two
				}
			}
		}
		for _, c := range cmd.Commands() {
			below(c)
		}
	}
	below(root)
	root.InitDefaultCompletionCmd()
	if bash, _, err := root.Find([]string{"completion", "bash"}); err == nil {
		bash.RunE = completeBash
	}
}

// completeBash writes bash's completion. What it offers is quoted there by bash's own %q,
// which puts a backslash before each comma of a list: that means the same, and isn't what
// anybody types.
func completeBash(cmd *cobra.Command, _ []string) error {
	plain, err := cmd.Flags().GetBool("no-descriptions")
	if err != nil {
		return err
	}
	if err := cmd.Root().GenBashCompletionV2(cmd.OutOrStdout(), !plain); err != nil {
		return err
	}
	_, err = fmt.Fprint(cmd.OutOrStdout(), `
__muster_complete()
{
    __start_muster "$@"
    [ ${#COMPREPLY[@]} = 0 ] || COMPREPLY=("${COMPREPLY[@]//\\,/,}")
}
if [[ $(type -t compopt) = "builtin" ]]; then
    complete -o default -F __muster_complete muster
else
    complete -o default -o nospace -F __muster_complete muster
fi
`)
	return err
}

// complete is cobra's question for an argument.
func (c completion) complete(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
	o, directive := c.others, cobra.ShellCompDirectiveNoFileComp
	if len(args) == 0 {
		o = c.first
	}
	if c.files {
		directive = cobra.ShellCompDirectiveDefault
	}
	if o == nil {
		return nil, directive
	}
	if c.lists {
		return fittingLast(o(cmd.Context(), args), begun), directive
	}
	return fitting(o(cmd.Context(), args), args, begun), directive
}

// fittingLast is fitting for the last of several words with commas between. Behind a comma
// they are without what they are: cobra's script for bash compares a word that has such a text
// with a comma escaped, and finds none.
func fittingLast(list []string, begun string) []string {
	done := begun[:strings.LastIndexByte(begun, ',')+1]
	fit := fitting(list, strings.Split(done, ","), begun[len(done):])
	for i := range fit {
		if done != "" {
			word, _, _ := strings.Cut(fit[i], "\t")
			fit[i] = done + word
		}
	}
	return fit
}

// completeFlag is cobra's question for a flag's value: several with commas between, but for
// the format of what is shown.
func completeFlag(name string, o offer) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begun string) ([]string, cobra.ShellCompDirective) {
		list := o(cmd.Context(), args)
		switch name {
		case "output":
			return fitting(list, nil, begun), cobra.ShellCompDirectiveNoFileComp
		case "report":
			if strings.Contains(begun[strings.LastIndexByte(begun, ',')+1:], "=") {
				return nil, cobra.ShellCompDirectiveDefault
			}
			return fittingLast(list, begun), cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
		}
		return fittingLast(list, begun), cobra.ShellCompDirectiveNoFileComp
	}
}

// fitting are the words of list that begin as the one that is begun, and aren't given yet. What
// stands before a pattern's name (! or &) stays there.
func fitting(list, given []string, begun string) []string {
	name := strings.TrimLeft(begun, "!&")
	mark := begun[:len(begun)-len(name)]
	var fit []string
	for _, offered := range list {
		word, what, _ := strings.Cut(offered, "\t")
		if word = view.CleanLine(word); !strings.HasPrefix(word, name) || slices.Contains(given, mark+word) || strings.ContainsAny(word, " \t\n") {
			continue
		}
		if what != "" {
			what = "\t" + view.CleanLine(what)
		}
		fit = append(fit, mark+word+what)
	}
	return fit
}

func (a *app) offerHosts(ctx context.Context, _ []string) []string {
	l, _, err := a.load(ctx, true)
	if err != nil {
		return nil
	}
	var list []string
	for _, h := range slices.Concat(l.inventory.Hosts(), l.inventory.Bastions()) {
		list = append(list, h.Name+"\t"+strings.TrimSpace("host "+h.Address))
	}
	return list
}

// offerPatterns are hosts and groups.
func (a *app) offerPatterns(ctx context.Context, args []string) []string {
	list := a.offerHosts(ctx, args)
	l, _, err := a.load(ctx, true)
	if err != nil {
		return list
	}
	groups := l.inventory.Groups()
	for _, name := range slices.Sorted(maps.Keys(groups)) {
		list = append(list, fmt.Sprintf("%s\tgroup of %s", name, host.Counted(len(groups[name]), "host", "hosts")))
	}
	return list
}

func (a *app) offerPlaybooks(context.Context, []string) []string {
	p, _ := project.Find(".")
	files, err := projectPlaybooks(p.Dir)
	if err != nil {
		return nil
	}
	names, _ := ownPlaybooks(p.Dir)
	return append(names, files...)
}

// playbooksFor reads the playbooks that the arguments name, or else all of the project, as
// far as they can be read.
func (a *app) playbooksFor(ctx context.Context, files []string) []*eval.Playbook {
	l, _, err := a.load(ctx, true)
	if err != nil {
		return nil
	}
	if len(files) == 0 {
		if files, err = projectPlaybooks(l.project.Dir); err != nil {
			return nil
		}
	}
	if files, err = playbookFiles(files); err != nil {
		return nil
	}
	l.secrets, _ = a.secrets(l.project, l.sources)
	var list []*eval.Playbook
	for _, file := range files {
		if pb, _ := lang.Load(file, a.readingOf(l, nil)); pb != nil {
			list = append(list, pb)
		}
	}
	return list
}

func (a *app) offerTags(ctx context.Context, args []string) []string {
	tags := map[string]bool{}
	for _, pb := range a.playbooksFor(ctx, args) {
		for _, play := range pb.Plays {
			for t := range play.Tasks() {
				for _, tag := range t.Tags {
					tags[tag] = true
				}
			}
		}
	}
	return slices.Sorted(maps.Keys(tags))
}

func (a *app) offerRotations(ctx context.Context, _ []string) []string {
	var list []string
	for _, pb := range a.playbooksFor(ctx, nil) {
		for _, r := range pb.Rotations {
			list = append(list, r.Name+"\tof the secret "+r.Secret)
		}
	}
	return list
}

func (a *app) offerSecrets(context.Context, []string) []string {
	p, _ := project.Find(".")
	s, err := vault.Read(a.storePath(p))
	if err != nil {
		return nil
	}
	return s.Names()
}

func (a *app) offerReceivers(ctx context.Context, _ []string) []string {
	l, _, err := a.load(ctx, true)
	if err != nil {
		return nil
	}
	var list []string
	for _, b := range l.notify {
		list = append(list, b.Full())
	}
	return list
}

func (a *app) offerKinds(context.Context, []string) []string {
	var list []string
	for _, k := range doc.All(a.registry()) {
		list = append(list, k.Name+"\t"+k.FirstSentence())
	}
	p, _ := project.Find(".")
	for _, name := range a.roleNames(p) {
		list = append(list, "role."+name+"\ta role of the project")
	}
	return list
}

func (a *app) offerRuns(context.Context, []string) (list []string) {
	p, diags := project.Find(".")
	if p.Dir == "" && diags.HasErrors() {
		return nil
	}
	j, err := journal.Open(p.Journal(), journal.Options{ReadOnly: true})
	if err != nil {
		return nil
	}
	runs, err := j.Runs(runsOffered)
	if errors.Join(err, j.Close()) != nil || len(runs) == 0 {
		return nil
	}
	list = append(list, "last\tthe newest")
	for _, r := range runs {
		list = append(list, r.ID+"\t"+r.Began.Local().Format(time.DateTime)+" "+r.Playbook+" "+r.State)
	}
	return list
}
