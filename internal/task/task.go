// Package task holds what a run tells of a task: which one it is, what was planned of it, and
// what became of it. Events, saved plans, JSON lines, the journal and the history are made of
// these, so that all of them say one thing.
package task

import (
	"muster/host"
	"muster/internal/wire"
)

// Ref says which task of which host, in the words of JSON lines.
type Ref struct {
	Host string `json:"host"`         // of the play
	On   string `json:"on,omitempty"` // the host acted on, where it is another
	Play string `json:"play"`
	Role string `json:"role"` // the labels of the roles it stands in: "web/certificate"; "" outside of roles
	Task string `json:"task"` // its label
	Key  string `json:"key"`  // of for_each; "" without
	Kind string `json:"kind"`
}

// Place is a Ref with what tells it from all others, and where the playbook has it.
type Place struct {
	Ref
	ID        string `json:"id"`         // of the instance, see lang.Instance: unique together with Host and On
	Name      string `json:"name"`       // as references call it: task.file["/etc/motd"]
	PlayIndex int    `json:"play_index"` // of Play, from 0
	Seq       int    `json:"seq"`        // its place in the play, in the order in which tasks are made
	File      string `json:"file,omitempty"`
	Line      int    `json:"line,omitempty"` // from 1
}

// Planned is what a task would do.
type Planned struct {
	Status      wire.Status        `json:"status"`
	Certainty   wire.Certainty     `json:"certainty,omitempty"` // of what is pending
	Changes     []host.Description `json:"changes,omitempty"`
	Then        []host.Description `json:"then,omitempty"` // what can only be foreseen
	Always      bool               `json:"always,omitempty"`
	Conditional bool               `json:"conditional,omitempty"` // whether it runs at all is known after apply
	Tolerated   bool               `json:"tolerated,omitempty"`   // it failed, and may
	Sensitive   bool               `json:"sensitive,omitempty"`   // nothing of what it changes is shown
	Error       string             `json:"error,omitempty"`
	Digest      string             `json:"digest,omitempty"` // of the changes, where it is pending, keyed with the plan's key
	Wants       string             `json:"wants,omitempty"`  // of what they want, whatever they found, likewise
	Behind      bool               `json:"behind,omitempty"` // earlier tasks bring what it is about: what it finds may move
}

// Done is what became of a task that its host was told to make.
type Done struct {
	Status    wire.Status // "": nobody knows; Unknown: nor did the run, which was told so
	Made      []host.Description
	Error     string
	Tolerated bool // the failure is an expected one
	Undone    bool // an atomic plan failed and what it made was taken back
	Seconds   float64
}
