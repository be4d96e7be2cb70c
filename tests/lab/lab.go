package lab

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// Options say which lab is to be had. The zero value is the lab "demo" with all
// hosts on Debian bookworm.
type Options struct {
	ID     string            // 1 to 6 letters and digits; labs of different IDs don't meet
	Hosts  []string          // the hosts to boot; the bastion comes by itself; nil means all
	Docker []string          // hosts on which Docker can run containers
	Suites map[string]string // the Debian release by host name, where it isn't DefaultSuite
	Cache  string            // the cache folder; "" means $MUSTER_LAB_CACHE, else /var/cache/muster-lab
	// Program is the program lab; it serves packages while the lab is up.
	// "" means to build it, for which the working directory must be in this module.
	Program string
	Log     io.Writer // progress, in lines; nil means nowhere
}

// hostOptions are what Options say of one host.
type hostOptions struct {
	base   string // the base tree
	suite  string
	docker bool
}

// Lab is a lab that is up. Its methods may be called concurrently, but for one
// host's Kill, Boot and Reset one after the other.
type Lab struct {
	p     paths
	hosts []*Host
	log   io.Writer
}

// Up makes the lab and returns when people can log in on every host. What is
// left of an earlier lab of this ID goes first, be it up or half-dead. When it
// fails, or ctx ends, it takes down again what it made; the error names the
// host and shows the end of its console.
//
// The lab outlives the calling process: end it with Down.
func Up(ctx context.Context, opts Options) (*Lab, error) {
	p, err := newPaths(opts.ID, opts.Cache)
	if err != nil {
		return nil, err
	}
	chosen, err := choose(opts.Hosts)
	if err != nil {
		return nil, err
	}
	for _, h := range slices.Concat(opts.Docker, keys(opts.Suites)) {
		if !slices.ContainsFunc(chosen, func(s spec) bool { return s.name == h }) {
			return nil, fmt.Errorf("%q is given an option and isn't among the lab's hosts", h)
		}
	}
	if err := supported(); err != nil {
		return nil, err
	}
	log := &lockedWriter{w: opts.Log}
	if err := install(ctx, log); err != nil {
		return nil, err
	}
	release, err := acquire(p.lock(), exclusive, func() {
		fmt.Fprintf(log, "lab: waiting for another process that is at the lab %s\n", p.id)
	})
	if err != nil {
		return nil, err
	}
	defer release()

	if err := clean(p, log); err != nil {
		return nil, fmt.Errorf("clearing away an earlier lab %s: %w", p.id, err)
	}
	l := &Lab{p: p, log: log}
	if err := l.up(ctx, opts, chosen); err != nil {
		return nil, errors.Join(err, clean(p, io.Discard))
	}
	return l, nil
}

func keys(m map[string]string) []string {
	var ks []string
	for k := range m {
		ks = append(ks, k)
	}
	return ks
}

// up makes the lab where nothing is left of another.
func (l *Lab) up(ctx context.Context, opts Options, chosen []spec) error {
	p := l.p
	start := time.Now()
	if err := os.MkdirAll(p.run(), 0o755); err != nil {
		return err
	}
	st := state{ID: p.id, Cache: p.cache, Docker: opts.Docker, Bases: map[string]string{}, Suites: opts.Suites}
	for _, s := range chosen {
		st.Hosts = append(st.Hosts, s.name)
	}
	if err := p.writeState(st); err != nil {
		return err
	}
	program := make(chan func() (string, error), 1)
	go func() { // beside the rest: the linker takes its time
		name, err := opts.Program, error(nil)
		if name == "" {
			name, err = buildProgram(ctx, p)
		}
		program <- func() (string, error) { return name, err }
	}()
	err := l.prepare(ctx, &st, chosen)
	name, buildErr := (<-program)()
	if err = errors.Join(err, buildErr); err != nil {
		return err
	}
	if err := startProxy(ctx, p, name); err != nil {
		return err
	}
	l.hosts = hostsOf(p, st)
	fmt.Fprintf(l.log, "lab: booting %s\n", strings.Join(st.Hosts, " "))
	err = l.each(func(h *Host) error {
		if err := prepareOverlay(p, h.spec, h.options); err != nil {
			return fmt.Errorf("making the disk of %s: %w", h.Name(), err)
		}
		if err := h.boot(ctx); err != nil {
			return err
		}
		fmt.Fprintf(l.log, "lab: %s is up after %.1f s\n", h.Name(), time.Since(start).Seconds())
		return nil
	})
	if err != nil {
		return err
	}
	st.Up = true
	return p.writeState(st)
}

// prepare makes what the hosts share: base trees, keys, the switch.
func (l *Lab) prepare(ctx context.Context, st *state, chosen []spec) error {
	for _, s := range chosen {
		base, err := ensureBase(ctx, l.p, st.suite(s.name), l.log)
		if err != nil {
			return err
		}
		st.Bases[s.name] = base
		if err := makeHostIdentity(l.p, s.name); err != nil {
			return err
		}
	}
	if err := l.p.writeState(*st); err != nil {
		return err
	}
	if err := makeWorkstation(l.p, chosen); err != nil {
		return err
	}
	if err := run(ctx, "sh", "-c", switchScript(l.p)); err != nil {
		return fmt.Errorf("making the switch: %w", err)
	}
	return nil
}

// each calls f for all hosts at once and waits for all.
func (l *Lab) each(f func(*Host) error) error {
	problems := make([]error, len(l.hosts))
	var wg sync.WaitGroup
	for i, h := range l.hosts {
		wg.Go(func() { problems[i] = f(h) })
	}
	wg.Wait()
	return errors.Join(problems...)
}

// Open returns the lab of that ID that another process brought up.
func Open(id string) (*Lab, error) {
	p, err := newPaths(id, "")
	if err != nil {
		return nil, err
	}
	if err := supported(); err != nil {
		return nil, err
	}
	st, found, err := p.readState()
	if err != nil {
		return nil, err
	}
	if !found {
		return nil, fmt.Errorf("the lab %s is not up: run lab up", p.id)
	}
	if !st.Up {
		return nil, fmt.Errorf("the lab %s didn't come up whole, or is coming up: run lab up", p.id)
	}
	p.cache = st.Cache
	return &Lab{p: p, hosts: hostsOf(p, st), log: io.Discard}, nil
}

// hostsOf returns the hosts of a lab's state.
func hostsOf(p paths, st state) []*Host {
	var hosts []*Host
	for _, name := range st.Hosts {
		s, err := find(name)
		if err != nil {
			continue // a lab of another version of this package: Down takes it away all the same
		}
		hosts = append(hosts, &Host{p: p, spec: s, options: hostOptions{
			base: st.Bases[name], suite: st.suite(name), docker: slices.Contains(st.Docker, name),
		}})
	}
	return hosts
}

// ID returns the lab's ID.
func (l *Lab) ID() string { return l.p.id }

// Home returns the workstation's home, a folder of this machine.
func (l *Lab) Home() string { return l.p.home() }

// SSHConfig returns the configuration file with which OpenSSH (ssh -F) reaches
// the hosts by name, as ops.
func (l *Lab) SSHConfig() string { return l.p.sshConfig() }

// Hosts returns the lab's hosts, the bastion first.
func (l *Lab) Hosts() []*Host { return slices.Clone(l.hosts) }

// Host returns the host of that name. It panics where the lab has none: that
// is a mistake in the test.
func (l *Lab) Host(name string) *Host {
	for _, h := range l.hosts {
		if h.Name() == name {
			return h
		}
	}
	panic(fmt.Sprintf("the lab %s has no host %q", l.p.id, name))
}

// Command returns a command that runs on the workstation: in its network
// namespace, with Env as Environment says. Files are this machine's.
func (l *Lab) Command(ctx context.Context, name string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "ip", append([]string{"netns", "exec", l.p.netns(workstationSpace), name}, args...)...)
	cmd.Env = l.Environment()
	return cmd
}

// Environment returns the workstation's environment: the caller's, with HOME and
// MUSTER_LAB_ID set, and without agents, proxies and muster's own variables.
func (l *Lab) Environment() []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool {
		k, _, _ := strings.Cut(kv, "=")
		return k == "HOME" || strings.HasPrefix(k, "SSH_") || strings.HasPrefix(k, "XDG_") ||
			strings.HasPrefix(k, "MUSTER_") || strings.HasSuffix(strings.ToLower(k), "_proxy")
	})
	return append(env, "HOME="+l.Home(), "MUSTER_LAB_ID="+l.p.id)
}

// Healthy reports what of the lab isn't as Up left it: nil when every host
// answers and the package cache runs.
func (l *Lab) Healthy(ctx context.Context) error {
	proxy, err := readPIDFile(l.p.proxyPID())
	if err == nil && !proxy.alive() {
		err = errors.New("its package cache doesn't run")
	}
	return errors.Join(err, l.each(func(h *Host) error {
		if s := h.State(); s != Running {
			return fmt.Errorf("%s is %s", h.Name(), s)
		}
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		if err := sshGreets(ctx, l.p, h.spec); err != nil {
			return fmt.Errorf("reaching %s: %w", h.Name(), err)
		}
		return nil
	}))
}

// Matches reports why the lab isn't what Up would make of opts: nil when it has
// those hosts and is healthy. What was written on its hosts isn't looked at.
func (l *Lab) Matches(ctx context.Context, opts Options) error {
	chosen, err := choose(opts.Hosts)
	if err != nil {
		return err
	}
	if len(chosen) != len(l.hosts) {
		return errors.New("other hosts are asked for")
	}
	for i, s := range chosen {
		h := l.hosts[i]
		want := state{Suites: opts.Suites}.suite(s.name)
		if h.spec != s || h.options.suite != want || h.options.docker != slices.Contains(opts.Docker, s.name) {
			return errors.New("other hosts are asked for")
		}
		if filepath.Base(h.options.base) != baseKey(want) {
			return errors.New("its base tree is out of date")
		}
	}
	return l.Healthy(ctx)
}

// lockedWriter keeps the lines of concurrent writers apart; it may write nowhere.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(b []byte) (int, error) {
	if l.w == nil {
		return len(b), nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(b)
}
