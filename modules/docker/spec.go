package docker

import (
	"fmt"
	"maps"
	"math"
	"net/netip"
	"path"
	"slices"
	"strconv"
	"strings"
	"time"

	"muster/modules"
)

// spec is what a container is made of, in one form for all the ways in which it can be
// written. In what a task declares, only what it declares is set.
type spec struct {
	Image      string            `json:"image"` // as identity has it
	Command    []string          `json:"command,omitempty"`
	Entrypoint []string          `json:"entrypoint,omitempty"`
	Env        map[string]string `json:"env,omitempty"`
	Secrets    []string          `json:"secrets,omitempty"` // names
	Ports      []string          `json:"ports,omitempty"`   // "0.0.0.0:8080:80/tcp"; no address is all
	Volumes    []string          `json:"volumes,omitempty"` // "/source:/target:rw"
	Networks   []string          `json:"networks,omitempty"`
	Aliases    []string          `json:"aliases,omitempty"` // its other names in these
	Labels     map[string]string `json:"labels,omitempty"`
	Restart    string            `json:"restart,omitempty"`
	User       string            `json:"user,omitempty"`
	Memory     int64             `json:"memory,omitempty"`    // bytes
	NanoCPUs   int64             `json:"nano_cpus,omitempty"` // of a processor
	Health     *health           `json:"health,omitempty"`
	StopAfter  *int              `json:"stop_timeout,omitempty"` // seconds
}

type health struct {
	Test        []string      `json:"test"`
	Interval    time.Duration `json:"interval,omitempty"`
	Timeout     time.Duration `json:"timeout,omitempty"`
	Retries     int           `json:"retries,omitempty"`
	StartPeriod time.Duration `json:"start_period,omitempty"`
}

// none turns an image's health check off.
var none = []string{"NONE"}

// spec returns what the task declares; problems go to fail.
func (c *Container) spec(fail func(arg, path, detail string)) spec {
	s := spec{Command: c.Command, Entrypoint: c.Entrypoint, Env: c.Env, Labels: c.Labels, Networks: slices.Sorted(slices.Values(c.Networks)), Aliases: c.aliases, Restart: c.Restart, User: c.User}
	s.Secrets = slices.Sorted(maps.Keys(c.Secrets))
	for i, p := range c.Ports {
		port, err := parsePort(p)
		if err != nil {
			fail("ports", fmt.Sprintf("[%d]", i), err.Error()+".")
		}
		s.Ports = append(s.Ports, port)
	}
	for i, m := range c.Volumes {
		mount, err := parseMount(m)
		if err != nil {
			fail("volumes", fmt.Sprintf("[%d]", i), err.Error()+".")
		}
		s.Volumes = append(s.Volumes, mount)
	}
	slices.Sort(s.Ports)
	slices.Sort(s.Volumes)
	var err error
	if s.Memory, err = parseSize(c.Memory); err != nil {
		fail("memory", "", err.Error()+".")
	}
	s.NanoCPUs = int64(math.Round(c.CPUs * 1e9))
	if c.CPUs < 0 || c.CPUs > 1e6 || c.CPUs != 0 && c.CPUs < 0.01 {
		fail("cpus", "", fmt.Sprintf("%v is no number of processors: from 0.01 on.", c.CPUs))
	}
	if _, _, err := parseRestart(c.Restart); err != nil {
		fail("restart", "", err.Error()+".")
	}
	if h := c.Health; h != nil {
		s.Health = &health{Test: []string(h.Test), Interval: span(h.Interval), Timeout: span(h.Timeout), Retries: h.Retries, StartPeriod: span(h.StartPeriod)}
		switch {
		case len(h.Test) == 1 && strings.EqualFold(h.Test[0], "none"):
			s.Health = &health{Test: none}
		case len(h.Test) == 1:
			s.Health.Test = []string{"CMD-SHELL", h.Test[0]}
		case len(h.Test) > 1 && !slices.Contains([]string{"CMD", "CMD-SHELL", "NONE"}, h.Test[0]):
			s.Health.Test = append([]string{"CMD"}, h.Test...)
		}
		if h.Retries < 0 {
			fail("health", ".retries", "It is a number from 1 on.")
		}
	}
	if c.StopTimeout != nil {
		seconds := int(time.Duration(*c.StopTimeout).Round(time.Second) / time.Second)
		s.StopAfter = &seconds
	}
	return s
}

func span(d *modules.Duration) time.Duration {
	if d == nil {
		return 0
	}
	return time.Duration(*d)
}

// parsePort reads "[ADDRESS:][PORT:]PORT[/PROTOCOL]".
func parsePort(s string) (string, error) {
	rest, protocol, given := strings.Cut(s, "/")
	if !given {
		protocol = "tcp"
	}
	if !slices.Contains([]string{"tcp", "udp", "sctp"}, protocol) {
		return "", fmt.Errorf("%q: %q is no protocol: tcp, udp or sctp", s, protocol)
	}
	address := ""
	if at := strings.LastIndex(rest, "]:"); at >= 0 {
		address, rest = strings.TrimPrefix(rest[:at], "["), rest[at+2:]
	} else if strings.Count(rest, ":") == 2 {
		address, rest, _ = strings.Cut(rest, ":")
	}
	if address != "" {
		a, err := netip.ParseAddr(address)
		if err != nil {
			return "", fmt.Errorf("%q: %q is no address of the host", s, address)
		}
		if address = a.String(); a.IsUnspecified() && a.Is4() {
			address = ""
		}
	}
	outside, inside, ok := strings.Cut(rest, ":")
	if !ok {
		return "", fmt.Errorf(`%q publishes no port of the host: write "PORT:%s"`, s, rest)
	}
	for _, p := range []string{outside, inside} {
		if n, err := strconv.Atoi(p); err != nil || n < 1 || n > 65535 || strconv.Itoa(n) != p {
			return "", fmt.Errorf("%q: %q is no port, from 1 to 65535. A range is written port by port", s, p)
		}
	}
	return fmt.Sprintf("%s:%s:%s/%s", address, outside, inside, protocol), nil
}

// published is a port as parsePort writes it.
type published struct{ address, port, inside, protocol string }

func publishedOf(s string) published {
	rest, protocol, _ := strings.Cut(s, "/")
	inside := rest[strings.LastIndex(rest, ":")+1:]
	rest = strings.TrimSuffix(rest, ":"+inside)
	port := rest[strings.LastIndex(rest, ":")+1:]
	return published{strings.TrimSuffix(strings.TrimSuffix(rest, port), ":"), port, inside, protocol}
}

// parseMount reads "SOURCE:TARGET[:ro]".
func parseMount(s string) (string, error) {
	parts := strings.Split(s, ":")
	mode := "rw"
	if len(parts) == 3 {
		mode = parts[2]
	}
	switch {
	case len(parts) < 2 || len(parts) > 3:
		return "", fmt.Errorf(`%q is no mount: write "SOURCE:TARGET" or "SOURCE:TARGET:ro"`, s)
	case !path.IsAbs(parts[1]):
		return "", fmt.Errorf("%q: the path in the container is absolute", s)
	case mode != "rw" && mode != "ro":
		return "", fmt.Errorf(`%q: %q is neither "ro" nor "rw"`, s, mode)
	case path.IsAbs(parts[0]):
		parts[0] = path.Clean(parts[0])
	case !nameForm.MatchString(parts[0]):
		return "", fmt.Errorf("%q: %q is neither an absolute path on the host nor the name of a volume", s, parts[0])
	}
	return parts[0] + ":" + path.Clean(parts[1]) + ":" + mode, nil
}

// parseSize reads a number of bytes with a unit of 1024.
func parseSize(s string) (int64, error) {
	if s == "" {
		return 0, nil
	}
	digits := strings.TrimRight(strings.ToLower(s), "bikmgt")
	n, err := strconv.ParseFloat(digits, 64)
	factor, ok := map[string]float64{"": 1, "b": 1, "k": 1 << 10, "kb": 1 << 10, "kib": 1 << 10, "m": 1 << 20, "mb": 1 << 20, "mib": 1 << 20, "g": 1 << 30, "gb": 1 << 30, "gib": 1 << 30, "t": 1 << 40, "tb": 1 << 40, "tib": 1 << 40}[strings.ToLower(s)[len(digits):]]
	if err != nil || !ok || n <= 0 || n*factor > 1<<60 {
		return 0, fmt.Errorf(`%q is no size: write a number and a unit, such as "512m" or "2g"`, s)
	}
	if n*factor < 6<<20 {
		return 0, fmt.Errorf("%q is less than the 6m that Docker asks for", s)
	}
	return int64(n * factor), nil
}

// parseRestart reads a restart policy.
func parseRestart(s string) (name string, times int, err error) {
	name, count, limited := strings.Cut(s, ":")
	if limited {
		times, err = strconv.Atoi(count)
	}
	if err != nil || times < 0 || limited && name != "on-failure" || !slices.Contains([]string{"no", "on-failure", "always", "unless-stopped"}, name) {
		return "", 0, fmt.Errorf(`%q is no restart policy: no, on-failure, on-failure:5, always or unless-stopped`, s)
	}
	return name, times, nil
}
