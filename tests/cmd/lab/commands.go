package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"muster/tests/lab"
)

func up(ctx context.Context, id string, args []string) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	hosts := flags.String("hosts", "", "the hosts to boot, with commas between; the bastion comes by itself")
	docker := flags.String("docker", "", "hosts on which Docker can run")
	suite := flags.String("suite", "", "the Debian release of all hosts (trixie), or of some (db1=trixie,db2=sid)")
	fresh := flags.Bool("fresh", false, "make the lab anew even if it is up")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return errUsage{"up takes flags alone"}
	}
	program, err := os.Executable()
	if err != nil {
		return err
	}
	opts := lab.Options{ID: id, Hosts: list(*hosts), Docker: list(*docker), Program: program, Log: os.Stderr}
	if opts.Suites, err = suites(*suite, opts.Hosts); err != nil {
		return err
	}
	start := time.Now()
	if l, err := lab.Open(id); err == nil && !*fresh {
		if problem := l.Matches(ctx, opts); problem == nil {
			fmt.Fprintf(os.Stderr, "lab: %s is up already\n", l.ID())
			return nil
		} else {
			fmt.Fprintf(os.Stderr, "lab: making %s anew: %v\n", l.ID(), problem)
		}
	}
	l, err := lab.Up(ctx, opts)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "lab: %s is up after %.1f s\n", l.ID(), time.Since(start).Seconds())
	return nil
}

// suites reads the flag -suite: a release for all of the lab's hosts (nil: those
// of a whole lab) and the bastion, or "HOST=RELEASE,…".
func suites(flag string, hosts []string) (map[string]string, error) {
	if flag == "" {
		return nil, nil
	}
	all := map[string]string{}
	if !strings.ContainsAny(flag, "=,") {
		if hosts == nil {
			hosts = lab.AllHosts()
		}
		for _, h := range append(hosts, lab.Bastion) {
			all[h] = flag
		}
		return all, nil
	}
	for _, one := range list(flag) {
		host, release, ok := strings.Cut(one, "=")
		if !ok || host == "" || release == "" {
			return nil, errUsage{fmt.Sprintf("-suite takes a release, or HOST=RELEASE with commas between: %q is neither", flag)}
		}
		all[host] = release
	}
	return all, nil
}

// list splits a flag's value at its commas.
func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func down(_ context.Context, id string, args []string) error {
	if len(args) > 0 {
		return errUsage{"down takes no arguments"}
	}
	start := time.Now()
	if err := lab.Down(id, os.Stderr); err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "lab: nothing is left after %.1f s\n", time.Since(start).Seconds())
	return nil
}

func status(ctx context.Context, id string, _ []string) error {
	ids := []string{id}
	if id == "" {
		ids = lab.Labs()
	}
	for _, id := range ids {
		l, err := lab.Open(id)
		if err != nil {
			fmt.Println(err)
			continue
		}
		health := "healthy"
		if err := l.Healthy(ctx); err != nil {
			health = strings.ReplaceAll(err.Error(), "\n", "; ")
		}
		fmt.Printf("%s: %s\n  home %s\n", l.ID(), health, l.Home())
		for _, h := range l.Hosts() {
			fmt.Printf("  %-7s %-13s %-8s pid %d\n", h.Name(), h.Address(), h.State(), h.PID())
		}
	}
	return nil
}

// host returns the host that the first of args names.
func host(id string, args []string) (*lab.Lab, *lab.Host, error) {
	if len(args) == 0 {
		return nil, nil, errUsage{"a host is needed"}
	}
	l, err := lab.Open(id)
	if err != nil {
		return nil, nil, err
	}
	for _, h := range l.Hosts() {
		if h.Name() == args[0] {
			return l, h, nil
		}
	}
	return nil, nil, fmt.Errorf("the lab %s has no host %q", l.ID(), args[0])
}

func ssh(ctx context.Context, id string, args []string) error {
	l, h, err := host(id, args)
	if err != nil {
		return err
	}
	return become(l.Command(ctx, "ssh", append([]string{"-F", l.SSHConfig(), h.Name()}, args[1:]...)...))
}

func execute(ctx context.Context, id string, args []string) error {
	if len(args) > 0 && args[0] == "--" {
		args = args[1:]
	}
	if len(args) == 0 {
		return errUsage{"exec needs a command"}
	}
	l, err := lab.Open(id)
	if err != nil {
		return err
	}
	return become(l.Command(ctx, args[0], args[1:]...))
}

func root(ctx context.Context, id string, args []string) error {
	_, h, err := host(id, args)
	if err != nil {
		return err
	}
	if len(args) < 2 {
		return errUsage{"root needs a command"}
	}
	return become(h.Command(ctx, args[1], args[2:]...))
}

// offers tells whether packages can be installed on a host: what its release lacks
// comes as lab.ErrNoPackage, which is an exit code of its own.
func offers(ctx context.Context, id string, args []string) error {
	_, h, err := host(id, args)
	if err != nil {
		return err
	}
	if len(args) < 2 {
		return errUsage{"offers needs a package"}
	}
	for _, name := range args[1:] {
		if err := h.Offers(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// become replaces this program by the command, so that its terminal, signals
// and exit code are the command's own.
func become(cmd *exec.Cmd) error {
	if cmd.Err != nil {
		return cmd.Err
	}
	if cmd.Dir != "" {
		if err := os.Chdir(cmd.Dir); err != nil {
			return err
		}
	}
	return syscall.Exec(cmd.Path, cmd.Args, cmd.Env)
}

// onHost makes a command of what is done to one host.
func onHost(do func(*lab.Host) error) func(context.Context, string, []string) error {
	return onHostContext(func(h *lab.Host, _ context.Context) error { return do(h) })
}

func onHostContext(do func(*lab.Host, context.Context) error) func(context.Context, string, []string) error {
	return func(ctx context.Context, id string, args []string) error {
		if len(args) > 1 {
			return errUsage{"one host at a time"}
		}
		_, h, err := host(id, args)
		if err != nil {
			return err
		}
		return do(h, ctx)
	}
}

func console(_ context.Context, id string, args []string) error {
	_, h, err := host(id, args)
	if err != nil {
		return err
	}
	file, err := os.Open(h.Console())
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = io.Copy(os.Stdout, file)
	return err
}

func deps(context.Context, string, []string) error {
	var missing []string
	for _, d := range lab.Dependencies() {
		state := "installed"
		if !d.Installed {
			state = "missing"
			missing = append(missing, d.Package)
		}
		fmt.Printf("%-24s %s\n", d.Package, state)
	}
	if missing != nil {
		return errors.New("missing: " + strings.Join(missing, " "))
	}
	return nil
}

// servePackages is what a lab's package cache runs; package lab starts it.
func servePackages(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return errUsage{lab.ProxyArgument + " is started by the lab itself"}
	}
	return lab.ServePackages(ctx, args[0], args[1], func(line string) {
		fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().UTC().Format("15:04:05.000"), line)
	})
}
