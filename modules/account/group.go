package account

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// Group is a group of users, in /etc/group.
type Group struct {
	// The group's name.
	Name string `arg:"name,key,required"`
	// Its number. By default the system chooses one for a new group, and an
	// existing group keeps its own.
	GID *int `arg:"gid"`
	// Give a new group a number below those of people's groups. An existing
	// group keeps its number.
	System bool `arg:"system" default:"false"`
	// The users who belong to it, and no others; an empty list for nobody. By
	// default the members are left as they are; "groups" of the kind "user"
	// adds single users.
	Members []string `arg:"members"`
	// Whether the group is there at all. A group that is somebody's primary
	// group can't be removed.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// GroupOutput is what a group task offers.
type GroupOutput struct {
	// The group's number.
	GID int `json:"gid"`
}

// Check refuses names and numbers that can't be, and contradictions.
func (g *Group) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	if !unknown("name") {
		errs = append(errs, checkName("name", g.Name)...)
	}
	errs = append(errs, checkID("gid", g.GID)...)
	if !unknown("members") {
		for _, m := range g.Members {
			errs = append(errs, checkName("members", m)...)
		}
	}
	if g.State == "absent" && (g.GID != nil || g.Members != nil || g.System) {
		errs = append(errs, modules.ArgError{Arg: "state", Summary: "Conflicting arguments", Detail: "A group that is to be absent has no number and no members."})
	}
	return errs
}

// Withhold hides the lines of what is sensitive.
func (g *Group) Withhold(diff string, sensitive []string) (string, bool) {
	return modules.WithoutFields(diff, sensitive, "gid", "system", "members")
}

// May is the group, and the users whose primary group it is.
func (g *Group) May() []host.Effect {
	return append([]host.Effect{host.Open(host.Groups, g.Name), host.May(host.Users)}, databases("passwd", "group", "gshadow")...)
}

// Plan compares the group with /etc/group.
func (g *Group) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	db, err := read(v)
	if err != nil {
		return modules.Plan{}, err
	}
	now, open, err := db.group(v, g.Name)
	if err != nil {
		return modules.Plan{}, err
	}
	if now == nil && !open {
		if err := foreignGroup(ctx, v, g.Name); err != nil {
			return modules.Plan{}, err
		}
	}
	var plan modules.Plan
	if g.State == "absent" {
		plan, err = g.remove(ctx, v, db, now, open)
	} else {
		plan, err = g.present(ctx, v, db, now, open)
	}
	if err == nil && len(plan.Changes) > 0 && !host.IsRoot() {
		return modules.Plan{}, errNotRoot
	}
	return plan, err
}

func (g *Group) remove(ctx context.Context, v *host.View, db *database, now *host.Group, open bool) (modules.Plan, error) {
	if now == nil {
		if open {
			return modules.Plan{}, host.NotYet(host.Key{Space: host.Groups, Name: g.Name})
		}
		return modules.Plan{}, nil
	}
	if users := db.primaryOf(ctx, v, *now); len(users) > 0 {
		return modules.Plan{}, fmt.Errorf("the group %s is the primary group of %s and can't be removed: give them another group, or remove them, in an earlier task", g.Name, some(users))
	}
	leaves := append([]host.Effect{host.Gone(host.Key{Space: host.Groups, Name: g.Name})}, databases("group", "gshadow")...)
	return modules.Plan{Changes: []host.Change{g.edit([]string{"groupdel", "--", g.Name}, host.Delete, "", leaves)}}, nil
}

func (g *Group) present(ctx context.Context, v *host.View, db *database, now *host.Group, open bool) (modules.Plan, error) {
	if g.GID != nil && (now == nil || now.GID != *g.GID) {
		if other := db.groupOf(v, *g.GID, g.Name); other != "" {
			return modules.Plan{}, fmt.Errorf("the group number %d belongs to the group %s already: choose another for %s, or change that one first", *g.GID, other, g.Name)
		}
	}
	var plan modules.Plan
	var after host.Group
	switch {
	case now == nil:
		after = host.Group{Name: g.Name, GID: -1}
		argv := []string{"groupadd"}
		var lines []string
		if g.System {
			argv = append(argv, "-r")
			lines = append(lines, "system: true")
		}
		if g.GID != nil {
			after.GID = *g.GID
			argv = append(argv, "-g", strconv.Itoa(*g.GID))
			lines = append(lines, fmt.Sprintf("gid: %d", *g.GID))
		}
		e := g.edit(append(argv, "--", g.Name), host.Create, strings.Join(lines, "\n"), append([]host.Effect{host.Is(host.Key{Space: host.Groups, Name: g.Name}, after)}, databases("group", "gshadow")...))
		if open {
			e.Does.Impact = "unless an earlier task brings it"
		}
		plan.Changes = append(plan.Changes, e)
	case g.GID != nil && now.GID != *g.GID:
		after = *now
		after.GID = *g.GID
		leaves := append([]host.Effect{host.Is(host.Key{Space: host.Groups, Name: g.Name}, after)}, databases("group", "gshadow", "passwd")...)
		for _, name := range db.primaryOf(ctx, v, *now) { // groupmod takes them along
			if u, _, err := db.user(ctx, v, name); err == nil && u != nil {
				u.GID = *g.GID
				leaves = append(leaves, host.Is(host.Key{Space: host.Users, Name: name}, *u))
			}
		}
		e := g.edit([]string{"groupmod", "-g", strconv.Itoa(*g.GID), "--", g.Name}, host.Update, fmt.Sprintf("gid: %d → %d", now.GID, *g.GID), leaves)
		e.Does.Impact = fmt.Sprintf("files of the group keep the number %d", now.GID)
		plan.Changes = append(plan.Changes, e)
	default:
		after = *now
	}
	if g.Members != nil {
		c, err := g.members(ctx, v, db, after)
		if err != nil {
			return modules.Plan{}, err
		}
		if c != nil {
			plan.Changes = append(plan.Changes, c)
		}
	}
	if len(plan.Changes) == 0 && after.GID >= 0 {
		plan.Output, _ = json.Marshal(GroupOutput{GID: after.GID})
	}
	return plan, nil
}

// members returns the change that makes the list of members exact, nil if it
// is. A member by primary group needn't be listed.
func (g *Group) members(ctx context.Context, v *host.View, db *database, now host.Group) (host.Change, error) {
	var primary []string
	for _, m := range g.Members {
		u, open, err := db.user(ctx, v, m)
		if err != nil && !errors.Is(err, host.ErrNotYet) {
			return nil, err
		}
		if err == nil && u == nil && !open {
			if u, err = v.User(ctx, m); err != nil || u == nil {
				return nil, fmt.Errorf("there is no user %q on this host to be a member of %s, and no earlier task makes it", m, g.Name)
			}
		}
		if u != nil && now.GID >= 0 && u.GID == now.GID {
			primary = append(primary, m)
		}
	}
	var lines []string
	for _, m := range sorted(g.Members) {
		if !slices.Contains(now.Members, m) && !slices.Contains(primary, m) {
			lines = append(lines, "members: + "+m)
		}
	}
	for _, m := range sorted(now.Members) {
		if !slices.Contains(g.Members, m) {
			lines = append(lines, "members: - "+m)
		}
	}
	if lines == nil {
		return nil, nil
	}
	after := now
	after.Members = sorted(g.Members)
	leaves := append([]host.Effect{host.Is(host.Key{Space: host.Groups, Name: g.Name}, after)}, databases("group", "gshadow")...)
	return g.edit([]string{"gpasswd", "-M", strings.Join(after.Members, ","), g.Name}, host.Update, strings.Join(lines, "\n"), leaves), nil
}

func (g *Group) edit(argv []string, action host.Action, diff string, leaves []host.Effect) *Edit {
	wants, _ := json.Marshal(g)
	part := "group"
	if argv[0] == "gpasswd" {
		part = "members"
	}
	return &Edit{
		RunProgram: host.RunProgram{Argv: argv, Does: host.Description{Action: action, Target: "group " + g.Name, Diff: diff}, Leaves: leaves},
		Wants:      part + " " + string(wants),
	}
}

// sorted returns a list in order, each once.
func sorted(list []string) []string {
	s := slices.Clone(list)
	slices.Sort(s)
	return slices.Compact(s)
}

// some names the first few of a list.
func some(list []string) string {
	if len(list) > 5 {
		return strings.Join(list[:5], ", ") + " and " + host.Counted(len(list)-5, "other", "others")
	}
	return strings.Join(list, ", ")
}
