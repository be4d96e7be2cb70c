package docker

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"muster/modules"
)

// project is what a compose file asks for.
type project struct {
	services []*service // each behind those that it depends on
	networks []*Network // of its own
	volumes  []*Volume
	external []external
}

// service is one of the file's services, as the container that it becomes.
type service struct {
	name      string
	line      int
	container *Container
	after     map[string]*yaml.Node // services that it depends on
	networks  []*yaml.Node
	at        map[string]*yaml.Node // where an argument of the container stands: "ports[0]"
}

// external is a network or a volume that the file takes for there.
type external struct {
	space, name string
	line        int
}

// fileReader reads a compose file for one project.
type fileReader struct {
	composeReader
	task     *Compose
	project  project
	networks map[string]string // names that Docker knows, by those in the file
	volumes  map[string]string
	secrets  map[string]string // values
}

// read returns what the file asks for; problems are in the reader.
func (r *fileReader) read(src []byte) project {
	doc := r.document(src)
	if doc == nil {
		return r.project
	}
	r.networks, r.volumes, r.secrets = map[string]string{}, map[string]string{}, map[string]string{}
	var services pair
	var later []func() // what services refer to comes first
	r.fields(doc, "a compose file", map[string]func(pair){
		"version": func(pair) {},
		"name": func(p pair) {
			if s, ok := r.text(p.value, "name"); ok && s != r.task.Name && r.task.Name != "" {
				r.wrong(p.value, "the file's name is %q, and the task's %q: give both the same, or leave this out", s, r.task.Name)
			}
		},
		"networks": func(p pair) { r.each(p, "the network", r.network) },
		"volumes":  func(p pair) { r.each(p, "the volume", r.volume) },
		"secrets":  func(p pair) { r.each(p, "the secret", r.secret) },
		"services": func(p pair) { services = p; later = append(later, func() { r.each(p, "the service", r.service) }) },
	}, map[string]string{"include": "put what it includes in the file, or in a task of its own", "configs": "mount a file that an earlier task writes"})
	for _, f := range later {
		f()
	}
	if services.at == nil || len(r.project.services) == 0 {
		r.refuse(doc, "the file has no services")
	}
	r.join()
	r.order()
	return r.project
}

// each reads what stands under names.
func (r *fileReader) each(p pair, what string, read func(p pair, what string)) {
	for _, e := range r.mapping(p.value, p.key) {
		switch {
		case strings.HasPrefix(e.key, "x-"):
		case !secretForm.MatchString(e.key):
			r.refuse(e.at, "%s %q: a name has letters, digits, \"_\", \".\" and \"-\"", what, e.key)
		default:
			read(e, what+" "+e.key)
		}
	}
}

func (r *fileReader) own(name string) string { return r.task.Name + "_" + name }

// identity reads "external" and "name": what Docker calls a network or a volume.
func (r *fileReader) identity(p pair, space string) (name string, theirs bool) {
	name = r.own(p.key)
	for _, f := range r.mapping(p.value, p.key) {
		switch f.key {
		case "external":
			theirs = r.truth(f.value, "external")
		case "name":
			name, _ = r.text(f.value, "name")
		}
	}
	if theirs {
		if name == r.own(p.key) {
			name = p.key
		}
		r.project.external = append(r.project.external, external{space, name, p.at.Line})
		for _, f := range r.mapping(p.value, p.key) {
			if f.key != "external" && f.key != "name" {
				r.refuse(f.at, "%s is external: its %s can't be set here", p.key, f.key)
			}
		}
	}
	return name, theirs
}

func (r *fileReader) network(p pair, what string) {
	name, theirs := r.identity(p, networks)
	r.networks[p.key] = name
	if theirs {
		return
	}
	n := &Network{Name: name, State: "present", Labels: map[string]string{}}
	r.fields(p.value, what, map[string]func(pair){
		"name": func(pair) {}, "external": func(pair) {},
		"driver":      func(p pair) { n.Driver, _ = r.text(p.value, "driver") },
		"driver_opts": func(p pair) { n.Options = r.table(p.value, "driver_opts") },
		"labels":      func(p pair) { n.Labels = r.table(p.value, "labels") },
		"internal":    func(p pair) { n.Internal = pointer(r.truth(p.value, "internal")) },
		"enable_ipv6": func(p pair) { n.IPv6 = pointer(r.truth(p.value, "enable_ipv6")) },
		"ipam": func(p pair) {
			r.fields(p.value, what+": ipam", map[string]func(pair){"config": func(p pair) {
				for _, item := range r.items(p.value, "config", false) {
					add := func(list *modules.OneOrMore) func(pair) {
						return func(p pair) {
							if s, ok := r.text(p.value, p.key); ok {
								*list = append(*list, s)
							}
						}
					}
					r.fields(item, what+": config", map[string]func(pair){"subnet": add(&n.Subnet), "gateway": add(&n.Gateway), "ip_range": add(&n.IPRange)}, nil)
				}
			}}, nil)
		},
	}, nil)
	r.arguments(n.Check(func(string) bool { return false }), what, p.at, nil)
	n.Labels[projectLabel] = r.task.Name
	r.project.networks = append(r.project.networks, n)
}

func (r *fileReader) volume(p pair, what string) {
	name, theirs := r.identity(p, volumes)
	r.volumes[p.key] = name
	if theirs {
		return
	}
	v := &Volume{Name: name, State: "present"}
	r.fields(p.value, what, map[string]func(pair){
		"name": func(pair) {}, "external": func(pair) {},
		"driver":      func(p pair) { v.Driver, _ = r.text(p.value, "driver") },
		"driver_opts": func(p pair) { v.Options = r.table(p.value, "driver_opts") },
		"labels":      func(p pair) { v.Labels = r.table(p.value, "labels") },
	}, nil)
	r.arguments(v.Check(func(string) bool { return false }), what, p.at, nil)
	r.project.volumes = append(r.project.volumes, v)
}

func (r *fileReader) secret(p pair, what string) {
	value, given := r.task.Secrets[p.key]
	before := len(r.problems)
	r.fields(p.value, what, map[string]func(pair){
		"external": func(p pair) { r.truth(p.value, what+": external") },
		"environment": func(p pair) {
			if name, ok := r.text(p.value, what+": environment"); ok && !given {
				value, given = r.env[name]
				r.refers = true
			}
		},
	}, map[string]string{"file": fmt.Sprintf("the host has no such file; write external: true, and give the task secrets = { %s = … }", p.key)})
	if !given && !r.open && !r.task.open && len(r.problems) == before {
		r.wrong(p.at, "%s has no value: give the task secrets = { %s = … }", what, p.key)
	}
	r.secrets[p.key] = value
}

// arguments notes what the kinds find wrong with what the file has become.
func (r *fileReader) arguments(errs []modules.ArgError, what string, or *yaml.Node, at map[string]*yaml.Node) {
	for _, e := range errs {
		n := or
		for _, name := range []string{e.Arg + e.Path, e.Arg} {
			if at[name] != nil {
				n = at[name]
				break
			}
		}
		text := what + ": " + strings.TrimSuffix(e.Detail, ".")
		if e.Arg != "" && n == or {
			text = what + ": " + e.Arg + e.Path + ": " + strings.TrimSuffix(e.Detail, ".")
		}
		r.wrong(n, "%s", text)
	}
}

// join gives services their networks: those without any are in the default one.
func (r *fileReader) join() {
	for _, s := range r.project.services {
		if s.container.Networks != nil {
			continue // host, none or bridge
		}
		if s.networks == nil {
			if r.networks["default"] == "" {
				r.networks["default"] = r.own("default")
				r.project.networks = append(r.project.networks, &Network{Name: r.own("default"), State: "present", Labels: map[string]string{projectLabel: r.task.Name}})
			}
			s.container.Networks = []string{r.networks["default"]}
		}
		for _, n := range s.networks {
			if r.networks[n.Value] == "" && n.Value == "default" {
				r.networks["default"] = r.own("default")
				r.project.networks = append(r.project.networks, &Network{Name: r.own("default"), State: "present", Labels: map[string]string{projectLabel: r.task.Name}})
			}
			if r.networks[n.Value] == "" {
				r.wrong(n, "the service %s: there is no network %s in the file", s.name, n.Value)
				continue
			}
			s.container.Networks = append(s.container.Networks, r.networks[n.Value])
		}
		s.container.aliases = []string{s.name}
	}
}

// order puts services behind those that they depend on, and else leaves them in the
// file's order.
func (r *fileReader) order() {
	byName := map[string]*service{}
	names := map[string]*service{}
	for _, s := range r.project.services {
		byName[s.name] = s
		if other := names[s.container.Name]; other != nil {
			r.wrong(s.at["name"], "the services %s and %s would have one container, %s", other.name, s.name, s.container.Name)
		}
		names[s.container.Name] = s
	}
	r.published()
	const begun, done = 1, 2
	state := map[*service]int{}
	var list []*service
	var visit func(s *service)
	visit = func(s *service) {
		state[s] = begun
		for _, name := range slices.Sorted(maps.Keys(s.after)) {
			switch other := byName[name]; {
			case other == nil:
				r.wrong(s.after[name], "the service %s depends on %s, which the file doesn't have", s.name, name)
			case state[other] == begun:
				r.wrong(s.after[name], "the service %s depends on %s, which depends on it", s.name, name)
			case state[other] == 0:
				visit(other)
			}
		}
		state[s] = done
		list = append(list, s)
	}
	for _, s := range r.project.services {
		if state[s] == 0 {
			visit(s)
		}
	}
	r.project.services = list
}

// published refuses a port of the host that two services publish.
func (r *fileReader) published() {
	type use struct {
		by *service
		published
	}
	var all []use
	for _, s := range r.project.services {
		for i, text := range s.container.Ports {
			port, err := parsePort(text)
			if err != nil {
				continue
			}
			p := publishedOf(port)
			for _, u := range all {
				if u.by != s && u.port == p.port && u.protocol == p.protocol && meets(u.address, p.address) {
					r.wrong(s.at[fmt.Sprintf("ports[%d]", i)], "the services %s and %s publish one port of the host, %s", u.by.name, s.name, p.port)
				}
			}
			all = append(all, use{s, p})
		}
	}
}

func pointer[T any](v T) *T { return &v }
