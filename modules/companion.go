package modules

import (
	"context"
	"encoding/json"
	"io"

	"muster/host"
)

// Accompanied is a module that needs other hosts while its changes are made: the donor
// of a backup. Each is planned first, as it will be when the tasks before it are made
// (View.Companion has what that told); while the changes are made no other change is made
// there, and it sends what is asked of it (Host.Receive).
type Accompanied interface {
	// Companions are known from the arguments alone. One whose host isn't known has "": it
	// is among them all the same, since it is by these that tasks are put in order before
	// anything is evaluated. A kind that doesn't always have one notes in Check what is
	// unknown.
	Companions() []Companion
}

// HostNamer is an Accompanied module of which other arguments name hosts of the inventory,
// too: one that isn't there is an error before any host is asked.
type HostNamer interface {
	Accompanied
	// Hosts are known from the arguments alone.
	Hosts() []NamedHost
}

// NamedHost is a host that an argument names. Path is where in the argument: "[1]".
type NamedHost struct{ Host, Arg, Path string }

// Companion is a host that a task needs beside its own.
type Companion struct {
	// Host is its name in the inventory, Arg the argument that has it.
	Host, Arg string
	// Kind is what is asked of it, a kind with Companion set: "mysql_donor".
	Kind string
	// Args are that kind's arguments.
	Args map[string]any
	// Port is where it listens while it sends; 0: on one that is free.
	Port int
	// Relay has what it sends go through the controller: no connection between the hosts
	// is needed.
	Relay bool
}

// Sender is the module of a companion's kind. Its plan has no changes: its output is what
// is told to the task.
type Sender interface {
	Module
	// Send writes to w what request asks for. It isn't told more than the task has asked,
	// which may be anything: it sends only what its own arguments allow. A w that takes
	// nothing for some seconds fails, and so does ctx; then nothing of what it has begun
	// may stay. Its error is told to the receiver, whose stream fails with it.
	Send(ctx context.Context, h *host.Host, request json.RawMessage, w io.Writer) error
}
