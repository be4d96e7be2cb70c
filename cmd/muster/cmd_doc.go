package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"muster/internal/doc"
	"muster/internal/lang"
	"muster/internal/lang/plays"
	"muster/internal/project"
	"muster/internal/view"
	"muster/modules"
)

func newDoc(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doc [KIND|role.NAME]",
		Short: "Show the kinds of tasks and the project's roles, or what one takes",
		Long: "Doc shows the kinds of tasks, or the arguments and the output of one.\n\n" +
			"In a project it also shows its roles, or the inputs and outputs of one: role.NAME, or only NAME where no kind is called so.",
		Args: cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			p, _ := project.Find(".") // what is wrong with its settings doesn't matter here
			if len(args) == 0 {
				return a.listDoc(p)
			}
			role, prefixed := strings.CutPrefix(args[0], "role.")
			switch names := a.roleNames(p); {
			case a.registry().Kind(args[0]) != nil:
				return a.showKind(args[0])
			case slices.Contains(names, role):
				return a.showRole(role, p)
			default:
				return a.noDoc(args[0], role, prefixed, names)
			}
		},
	}
}

// listDoc shows all kinds and roles, after what is wrong with a role.
func (a *app) listDoc(p *project.Project) error {
	var roles []doc.Role
	var failed error
	for _, name := range a.roleNames(p) {
		r, err := a.role(name, p)
		if err != nil {
			failed = err
		}
		if r != nil {
			roles = append(roles, *r)
		}
	}
	if a.output != "json" {
		fmt.Fprint(a.out, doc.List(a.registry(), roles))
		return failed
	}
	list := []any{}
	for _, k := range doc.All(a.registry()) {
		list = append(list, k)
	}
	for _, r := range roles {
		list = append(list, r)
	}
	if err := view.NewEncoder(a.out).Encode(list); err != nil {
		return err
	}
	return failed
}

func (a *app) showKind(name string) error {
	if a.output == "json" {
		return view.NewEncoder(a.out).Encode(doc.Of(a.registry(), name))
	}
	fmt.Fprint(a.out, doc.Text(a.registry(), name))
	return nil
}

func (a *app) showRole(name string, p *project.Project) error {
	r, failed := a.role(name, p)
	switch {
	case r == nil:
	case a.output == "json":
		if err := view.NewEncoder(a.out).Encode(r); err != nil {
			return err
		}
	default:
		fmt.Fprint(a.out, doc.TextOfRole(r, lang.RoleArgs()))
	}
	return failed
}

// noDoc is the error for a name that is neither a kind's nor, without the prefix
// "role.", a role's.
func (a *app) noDoc(arg, role string, prefixed bool, roles []string) error {
	what := "kind"
	var names []string
	switch {
	case prefixed:
		what = "role"
	case len(roles) > 0:
		what = "kind or role"
	}
	if !prefixed {
		for _, k := range a.registry().Kinds() {
			names = append(names, k.Name)
		}
	}
	if near := modules.NearestKind(role, append(names, roles...)); near != "" {
		return fmt.Errorf("there is no %s %q: did you mean %q?", what, role, near)
	}
	return fmt.Errorf("there is no %s %q: \"muster doc\" lists them", what, role)
}

// roleNames lists the project's roles; none outside a project.
func (a *app) roleNames(p *project.Project) []string {
	if p.Dir == "" {
		return nil
	}
	return lang.RoleNames(a.roleOptions(p))
}

func (a *app) roleOptions(p *project.Project) plays.Options {
	return plays.Options{Kinds: a.registry(), Root: p.Dir, EmbeddedRoles: embeddedRoles()}
}

// role reads a role, nil where that can't be done, and shows what is wrong with
// it: the error is then errShown.
func (a *app) role(name string, p *project.Project) (*doc.Role, error) {
	d, sources, diags := lang.ReadRole(name, a.roleOptions(p))
	var failed error
	if len(diags) > 0 { // else JSON stays the one document
		failed = a.fail(diags, sources)
	}
	if d == nil {
		return nil, failed
	}
	r := &doc.Role{Name: "role." + d.Name, Text: d.Description, Dir: p.Rel(d.Dir), Inputs: []doc.Arg{}, Outputs: []doc.Arg{}}
	for _, in := range d.Inputs {
		r.Inputs = append(r.Inputs, doc.Arg{Name: in.Name, Type: in.Type, Text: in.Description, Required: in.Required, Default: in.Default, Sensitive: in.Sensitive, Deprecated: in.Deprecated})
	}
	for _, out := range d.Outputs {
		r.Outputs = append(r.Outputs, doc.Arg{Name: out.Name, Text: out.Description, Sensitive: out.Sensitive})
	}
	return r, failed
}
