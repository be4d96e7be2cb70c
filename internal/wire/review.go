package wire

import (
	"fmt"
	"strings"

	"muster/host"
)

// Review asks to plan the tasks of a host once more, when all of them are planned,
// or (Made) those of IDs when all of them are made: none may have anything left.
type Review struct {
	Made bool     `cbor:"1,keyasint,omitempty"`
	IDs  []string `cbor:"2,keyasint,omitempty"`
}

// Reviewed answers Review: a remote with the conflicts, a worker with what its
// tasks have left.
type Reviewed struct {
	Conflicts []Conflict `cbor:"1,keyasint,omitempty"`
	Left      []Left     `cbor:"2,keyasint,omitempty"`
}

// Conflict is a task that can't stand as it is, and why.
type Conflict struct {
	ID   string `cbor:"1,keyasint,omitempty"`
	Text string `cbor:"2,keyasint,omitempty"`
	// Alone: no other task is in the way, so that the kind itself is at fault.
	Alone bool `cbor:"3,keyasint,omitempty"`
	// Other is the task that is in the way, where one is.
	Other string `cbor:"4,keyasint,omitempty"`
}

// Left is what a task still wants to do where nothing should be left.
type Left struct {
	ID      string             `cbor:"1,keyasint,omitempty"`
	Changes []host.Description `cbor:"2,keyasint,omitempty"`
	Keys    []host.Key         `cbor:"3,keyasint,omitempty"` // that it would alter
	Error   string             `cbor:"4,keyasint,omitempty"` // it can't be planned any more
	// By is the task whose plan first left it something to do: itself, where its own
	// effects do. Empty where that isn't known.
	By string `cbor:"5,keyasint,omitempty"`
	// Effects are what its changes would leave.
	Effects []host.Effect `cbor:"6,keyasint,omitempty"`
}

// Wants says in a sentence's part what is left: "would update /etc/motd".
func (l Left) Wants() string {
	if l.Error != "" {
		return "fails: " + l.Error
	}
	var list []string
	for _, d := range l.Changes {
		list = append(list, fmt.Sprintf("%s %s", d.Action, d.Target))
	}
	return "would " + strings.Join(list, ", ")
}
