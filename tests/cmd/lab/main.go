// Command lab brings up real Debian hosts behind a real bastion on this machine;
// package lab says what they are.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"muster/tests/lab"
)

// command is one of lab's commands.
type command struct {
	name  string
	usage string // its arguments
	help  string // one line
	run   func(ctx context.Context, id string, args []string) error
}

func commands() []command {
	return []command{
		{"up", "[-fresh] [-hosts H,…] [-docker H,…] [-suite RELEASE|HOST=RELEASE,…]", "bring the lab up, unless it is", up},
		{"down", "", "take the lab away", down},
		{"status", "", "show the lab's hosts; without -id, of every lab", status},
		{"ssh", "HOST [COMMAND…]", "log in on a host as ops, through the bastion", ssh},
		{"exec", "-- COMMAND…", "run a command on the workstation", execute},
		{"root", "HOST COMMAND…", "run a command as root inside a host, past its network", root},
		{"offers", "HOST PACKAGE…", "whether its release has these packages; exits 3 if not", offers},
		{"kill", "HOST", "cut a host's power", onHost((*lab.Host).Kill)},
		{"boot", "HOST", "boot a host that is off", onHostContext((*lab.Host).Boot)},
		{"cut", "HOST", "take a host off the network", onHostContext((*lab.Host).Cut)},
		{"mend", "HOST", "put it back", onHostContext((*lab.Host).Mend)},
		{"reset", "HOST", "throw away what was written on a host, and boot it", onHostContext((*lab.Host).Reset)},
		{"console", "HOST", "show what a host wrote to its console", console},
		{"deps", "", "list what must be installed; up installs it", deps},
	}
}

// errUsage is a mistake in the arguments; its text says which.
type errUsage struct{ text string }

func (e errUsage) Error() string { return e.text }

func usage() {
	fmt.Fprintf(os.Stderr, "usage: lab [-id ID] COMMAND\n\n")
	for _, c := range commands() {
		fmt.Fprintf(os.Stderr, "  %-70s %s\n", c.name+" "+c.usage, c.help)
	}
	fmt.Fprintf(os.Stderr, "\n-id is the lab, 1 to 6 letters a-z and digits: by default $MUSTER_LAB_ID, else %q.\n", lab.DefaultID)
}

func main() {
	os.Exit(realMain())
}

func realMain() int {
	id := os.Getenv("MUSTER_LAB_ID")
	flag.StringVar(&id, "id", id, "the lab")
	flag.Usage = usage
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()

	err := dispatch(ctx, id, flag.Args())
	var wrong errUsage
	switch {
	case err == nil || errors.Is(err, flag.ErrHelp):
		return 0
	case errors.As(err, &wrong):
		fmt.Fprintf(os.Stderr, "lab: %s\n\n", wrong)
		usage()
		return 2
	}
	fmt.Fprintf(os.Stderr, "lab: %v\n", err)
	if errors.Is(err, lab.ErrNoPackage) {
		return 3
	}
	return 1
}

func dispatch(ctx context.Context, id string, args []string) error {
	if len(args) == 0 {
		return errUsage{"a command is needed"}
	}
	if args[0] == lab.ProxyArgument {
		return servePackages(ctx, args[1:])
	}
	for _, c := range commands() {
		if c.name == args[0] {
			return c.run(ctx, id, args[1:])
		}
	}
	return errUsage{fmt.Sprintf("there is no command %q", args[0])}
}
