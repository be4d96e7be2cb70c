package docker

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"gopkg.in/yaml.v3"

	"muster/modules"
)

// composeNames are the names that the compose specification has for parts of a service,
// and muster doesn't take.
func composeNames() []string {
	return strings.Fields(`annotations attach blkio_config cap_add cap_drop cgroup cgroup_parent configs cpu_count cpu_percent
		cpu_period cpu_quota cpu_rt_period cpu_rt_runtime cpu_shares cpuset credential_spec develop device_cgroup_rules devices
		dns dns_opt dns_search domainname driver_opts endpoint_mode extra_hosts gpus group_add hostname init ipc isolation
		label_file links external_links logging mac_address mem_reservation mem_swappiness memswap_limit mode models
		oom_kill_disable oom_score_adj pid pids_limit placement platform post_start pre_stop privileged provider read_only
		replicas reservations restart_policy rollback_config runtime scale security_opt shm_size stdin_open stop_signal
		storage_opt sysctls tmpfs tty ulimits update_config use_api_socket userns_mode uts volumes_from working_dir
		attachable enable_ipv4 options aux_addresses template_driver gw_priority interface_name ipv4_address ipv6_address
		link_local_ips priority app_protocol consistency bind volume image pids uid gid content start_interval`)
}

// instead is what to do about the commonest of them.
var instead = map[string]string{
	"build":    "muster builds no images; build it, push it to a registry, and name it as image",
	"env_file": "the host has no such file; use environment, and the task's env for what it is to be filled in with",
	"expose":   "containers of a network reach all of each other's ports; leave it out",
	"extends":  "write out what it takes from there, or use an anchor and <<",
	"profiles": "give each profile a file and a task of its own",
	"logging":  "it is set for all containers by docker_engine",
	"init":     "it is set for all containers by docker_engine",
}

func (r *fileReader) service(p pair, what string) {
	c := &Container{Name: r.task.Name + "-" + p.key, Restart: "no", Pull: r.task.Pull, Wait: r.task.Wait, Adopt: r.task.Adopt, State: r.task.State, Labels: map[string]string{}}
	s := &service{name: p.key, line: p.at.Line, container: c, after: map[string]*yaml.Node{}, at: map[string]*yaml.Node{"name": p.at}}
	var memory, cpus *yaml.Node
	limit := func(at **yaml.Node, n *yaml.Node, was, is string) {
		if *at != nil && was != is {
			r.wrong(n, "%s has another limit on line %d", what, (*at).Line)
		}
		*at = n
	}
	setMemory := func(p pair) {
		if t, ok := r.text(p.value, p.key); ok {
			limit(&memory, p.value, c.Memory, t)
			c.Memory, s.at["memory"] = t, p.value
		}
	}
	setCPUs := func(p pair) {
		if t, ok := r.text(p.value, p.key); ok {
			n, err := strconv.ParseFloat(t, 64)
			if err != nil || n <= 0 {
				r.wrong(p.value, "%s: cpus: %q is no number of processors", what, t)
			}
			limit(&cpus, p.value, fmt.Sprint(c.CPUs), fmt.Sprint(n))
			c.CPUs, s.at["cpus"] = n, p.value
		}
	}
	take := func(arg string, to *string) func(pair) {
		return func(p pair) { *to, _ = r.text(p.value, what+": "+p.key); s.at[arg] = p.value }
	}
	r.fields(p.value, what, map[string]func(pair){
		"image":             take("image", &c.Image),
		"container_name":    take("name", &c.Name),
		"user":              take("user", &c.User),
		"restart":           take("restart", &c.Restart),
		"command":           func(p pair) { c.Command = r.command(p, what) },
		"entrypoint":        func(p pair) { c.Entrypoint = r.command(p, what) },
		"environment":       func(p pair) { c.Env, s.at["env"] = r.table(p.value, what+": environment"), p.value },
		"labels":            func(p pair) { c.Labels, s.at["labels"] = r.table(p.value, what+": labels"), p.value },
		"ports":             func(p pair) { r.ports(p, s, what) },
		"volumes":           func(p pair) { r.mounts(p, s, what) },
		"secrets":           func(p pair) { r.mountedSecrets(p, s, what) },
		"networks":          func(p pair) { r.joined(p, s, what) },
		"depends_on":        func(p pair) { r.dependsOn(p, s, what) },
		"healthcheck":       func(p pair) { c.Health, s.at["health"] = r.health(p, what), p.value },
		"mem_limit":         setMemory,
		"cpus":              setCPUs,
		"stop_grace_period": func(p pair) { c.StopTimeout = r.span(p, what) },
		"network_mode": func(p pair) {
			if t, ok := r.text(p.value, what+": network_mode"); ok && !slices.Contains([]string{"host", "none", "bridge"}, t) {
				r.wrong(p.value, "%s: network_mode is host, none or bridge, not %q", what, t)
			} else if ok {
				c.Networks, s.at["networks"] = []string{t}, p.value
			}
		},
		"pull_policy": func(p pair) {
			t, ok := r.text(p.value, what+": pull_policy")
			if t == "if_not_present" {
				t = "missing"
			}
			if ok && !slices.Contains([]string{"missing", "always", "never"}, t) {
				r.wrong(p.value, "%s: pull_policy is missing, always or never, not %q", what, t)
			}
			c.Pull = t
		},
		"deploy": func(p pair) {
			r.fields(p.value, what+": deploy", map[string]func(pair){"resources": func(p pair) {
				r.fields(p.value, what+": resources", map[string]func(pair){"limits": func(p pair) {
					r.fields(p.value, what+": limits", map[string]func(pair){"memory": setMemory, "cpus": setCPUs}, nil)
				}}, nil)
			}}, nil)
		},
	}, instead)
	if c.Networks != nil && s.networks != nil {
		r.wrong(s.networks[0], "%s has both networks and network_mode", what)
	}
	r.arguments(c.Check(func(arg string) bool { return arg == "image" && c.Image == "" && r.bad(what) }), what, p.at, s.at)
	c.Labels[projectLabel], c.Labels[serviceLabel] = r.task.Name, s.name
	r.project.services = append(r.project.services, s)
}

// bad reports whether something of a service was refused already: that there is no image
// may be the other side of it.
func (r *fileReader) bad(what string) bool {
	return slices.ContainsFunc(r.problems, func(p composeProblem) bool { return strings.HasPrefix(p.text, what) })
}

// command is a list, or a text that is split as a shell does.
func (r *fileReader) command(p pair, what string) (words []string) {
	what += ": " + p.key
	if p.value.Kind == yaml.SequenceNode {
		words, _ = r.texts(p.value, what, false)
	} else if t, ok := r.text(p.value, what); ok {
		var err error
		if words, err = shellWords(t); err != nil {
			r.wrong(p.value, "%s: %s", what, err)
			return nil
		}
	} else {
		return nil
	}
	if len(words) == 0 {
		r.wrong(p.value, "%s is empty, which would take away the image's: that isn't supported", what)
	}
	return words
}

func (r *fileReader) span(p pair, what string) *modules.Duration {
	t, ok := r.text(p.value, what+": "+p.key)
	d, err := time.ParseDuration(t)
	if ok && (err != nil || d < 0) {
		r.wrong(p.value, `%s: %s: %q is no time: write "10s" or "1m30s"`, what, p.key, t)
	}
	return pointer(modules.Duration(d))
}

func (r *fileReader) health(p pair, what string) *Health {
	h := &Health{}
	off := false
	r.fields(p.value, what+": healthcheck", map[string]func(pair){
		"test": func(p pair) {
			h.Test, _ = r.texts(p.value, what+": test", true)
			if p.value.Kind == yaml.SequenceNode && len(h.Test) > 0 {
				switch {
				case h.Test[0] == "CMD-SHELL" && len(h.Test) == 2, h.Test[0] == "NONE" && len(h.Test) == 1, h.Test[0] == "CMD" && len(h.Test) > 1:
				default:
					r.wrong(p.value, `%s: a test is a text, or a list that begins with "CMD", "CMD-SHELL" or "NONE"`, what)
				}
			}
		},
		"disable":      func(p pair) { off = r.truth(p.value, what+": disable") },
		"interval":     func(p pair) { h.Interval = r.span(p, what) },
		"timeout":      func(p pair) { h.Timeout = r.span(p, what) },
		"start_period": func(p pair) { h.StartPeriod = r.span(p, what) },
		"retries": func(p pair) {
			t, ok := r.text(p.value, what+": retries")
			n, err := strconv.Atoi(t)
			if ok && (err != nil || n < 1) {
				r.wrong(p.value, "%s: retries: %q is no number from 1 on", what, t)
			}
			h.Retries = n
		},
	}, nil)
	switch {
	case off:
		return &Health{Test: modules.OneOrMore{"none"}}
	case len(h.Test) == 0:
		r.wrong(p.at, "%s: a healthcheck without a test alters the image's: that isn't supported, give the test", what)
	}
	return h
}

// dependsOn reads what a service is started behind. A container counts as started when it
// is healthy, or has none to tell, when it runs: so both conditions are the same.
func (r *fileReader) dependsOn(p pair, s *service, what string) {
	if p.value.Kind == yaml.SequenceNode {
		list, at := r.texts(p.value, what+": depends_on", false)
		for i, name := range list {
			s.after[name] = at[i]
		}
		return
	}
	for _, e := range r.mapping(p.value, what+": depends_on") {
		s.after[e.key] = e.at
		r.fields(e.value, what+": depends_on "+e.key, map[string]func(pair){
			"condition": func(p pair) {
				if t, ok := r.text(p.value, "condition"); ok && t != "service_started" && t != "service_healthy" {
					r.refuse(p.value, "%s: the condition %q isn't supported: service_started and service_healthy are", what, t)
				}
			},
			"required": func(p pair) {
				if !r.truth(p.value, "required") {
					r.refuse(p.value, "%s: required: false isn't supported: all services of the file are made", what)
				}
			},
			"restart": func(p pair) {
				if r.truth(p.value, "restart") {
					r.refuse(p.value, "%s: restart: true isn't supported: a service isn't restarted with another", what)
				}
			},
		}, nil)
	}
}

// joined reads the networks that a service is in.
func (r *fileReader) joined(p pair, s *service, what string) {
	s.networks = []*yaml.Node{}
	if p.value.Kind == yaml.SequenceNode {
		for _, n := range r.items(p.value, what+": networks", false) {
			if _, ok := r.text(n, what+": networks"); ok {
				s.networks = append(s.networks, n)
			}
		}
		return
	}
	for _, e := range r.mapping(p.value, what+": networks") {
		s.networks = append(s.networks, e.at)
		r.fields(e.value, what+": the network "+e.key, nil, map[string]string{"aliases": "a service is reached by its own name"})
	}
}

// mountedSecrets reads the secrets that a service is given, as files of /run/secrets.
func (r *fileReader) mountedSecrets(p pair, s *service, what string) {
	s.container.Secrets = map[string]string{}
	for _, item := range r.items(p.value, what+": secrets", false) {
		source, target := "", ""
		if item.Kind == yaml.ScalarNode {
			source, _ = r.text(item, what+": secrets")
		} else {
			r.fields(item, what+": secrets", map[string]func(pair){
				"source": func(p pair) { source, _ = r.text(p.value, "source") },
				"target": func(p pair) { target, _ = r.text(p.value, "target") },
			}, map[string]string{"uid": "it is the container's user's", "gid": "it is the container's user's", "mode": "it is 0400"})
		}
		if target = strings.TrimPrefix(target, secretsInside+"/"); target == "" {
			target = source
		}
		value, ok := r.secrets[source]
		switch {
		case !ok:
			r.wrong(item, "%s: there is no secret %s in the file", what, source)
		case strings.Contains(target, "/"):
			r.wrong(item, "%s: the secret %s: its target is a name in %s", what, source, secretsInside)
		default:
			s.container.Secrets[target] = value
			s.at["secrets"] = p.value
		}
	}
}

// mounts reads the volumes of a service.
func (r *fileReader) mounts(p pair, s *service, what string) {
	for _, item := range r.items(p.value, what+": volumes", false) {
		var source, target, mode, typ string
		if item.Kind == yaml.ScalarNode {
			t, ok := r.text(item, what+": volumes")
			if !ok {
				continue
			}
			parts := strings.SplitN(t, ":", 3)
			if len(parts) == 1 {
				r.wrong(item, "%s: %q is a volume without a name, whose data goes with the container: give it one", what, t)
				continue
			}
			source, target = parts[0], parts[1]
			if len(parts) == 3 {
				mode = parts[2]
			}
		} else {
			r.fields(item, what+": volumes", map[string]func(pair){
				"type":   func(p pair) { typ, _ = r.text(p.value, "type") },
				"source": func(p pair) { source, _ = r.text(p.value, "source") },
				"target": func(p pair) { target, _ = r.text(p.value, "target") },
				"read_only": func(p pair) {
					if r.truth(p.value, "read_only") {
						mode = "ro"
					}
				},
			}, nil)
			if typ != "bind" && typ != "volume" {
				r.wrong(item, "%s: a mount of the type %q isn't supported: volume and bind are", what, typ)
				continue
			}
			if typ == "bind" != path.IsAbs(source) && !strings.HasPrefix(source, ".") {
				r.wrong(item, "%s: %q is no source for a mount of the type %s", what, source, typ)
				continue
			}
		}
		switch {
		case path.IsAbs(source):
		case strings.HasPrefix(source, "."), strings.HasPrefix(source, "~"), strings.Contains(source, "/"):
			r.wrong(item, "%s: %q isn't on the host, which doesn't have the project: name an absolute path, that an earlier task makes", what, source)
			continue
		case r.volumes[source] == "":
			r.wrong(item, "%s: there is no volume %s in the file", what, source)
			continue
		default:
			source = r.volumes[source]
		}
		mount := source + ":" + target
		if mode != "" {
			mount += ":" + mode
		}
		s.at[fmt.Sprintf("volumes[%d]", len(s.container.Volumes))] = item
		s.container.Volumes = append(s.container.Volumes, mount)
	}
}

// ports reads the ports that a service publishes.
func (r *fileReader) ports(p pair, s *service, what string) {
	add := func(n *yaml.Node, port string) {
		s.at[fmt.Sprintf("ports[%d]", len(s.container.Ports))] = n
		s.container.Ports = append(s.container.Ports, port)
	}
	for _, item := range r.items(p.value, what+": ports", false) {
		if item.Kind == yaml.ScalarNode {
			if t, ok := r.text(item, what+": ports"); ok {
				ports, err := portRange(t)
				if err != nil {
					r.wrong(item, "%s: %s", what, err)
				}
				for _, port := range ports {
					add(item, port)
				}
			}
			continue
		}
		var target, published, address, protocol string
		r.fields(item, what+": ports", map[string]func(pair){
			"target":    func(p pair) { target, _ = r.text(p.value, "target") },
			"published": func(p pair) { published, _ = r.text(p.value, "published") },
			"host_ip":   func(p pair) { address, _ = r.text(p.value, "host_ip") },
			"protocol":  func(p pair) { protocol, _ = r.text(p.value, "protocol") },
			"name":      func(pair) {}, // for people
		}, nil)
		port := published + ":" + target
		switch {
		case published == "" || target == "":
			r.wrong(item, "%s: a port has both target and published", what)
			continue
		case strings.Contains(address, ":"):
			port = "[" + strings.Trim(address, "[]") + "]:" + port
		case address != "":
			port = address + ":" + port
		}
		if protocol != "" {
			port += "/" + protocol
		}
		add(item, port)
	}
}

// portRange returns the ports that one entry stands for: "8000-8002:9000-9002".
func portRange(s string) ([]string, error) {
	rest, protocol, given := strings.Cut(s, "/")
	if given {
		protocol = "/" + protocol
	}
	at := strings.LastIndex(rest, ":")
	if at < 0 || !strings.Contains(rest, "-") {
		return []string{s}, nil
	}
	inside, rest := rest[at+1:], rest[:at]
	at = strings.LastIndex(rest, ":")
	address, outside := rest[:at+1], rest[at+1:]
	from, to, err := numbers(outside)
	first, last, err2 := numbers(inside)
	if err != nil || err2 != nil || to-from != last-first || to < from || to-from > 1000 {
		return nil, fmt.Errorf("%q: both ranges of ports are of one length", s)
	}
	var list []string
	for i := range to - from + 1 {
		list = append(list, fmt.Sprintf("%s%d:%d%s", address, from+i, first+i, protocol))
	}
	return list, nil
}

func numbers(s string) (from, to int, err error) {
	a, b, ok := strings.Cut(s, "-")
	if !ok {
		b = a
	}
	if from, err = strconv.Atoi(a); err == nil {
		to, err = strconv.Atoi(b)
	}
	return from, to, err
}
