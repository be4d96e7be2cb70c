package host

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"strings"
)

// ErrNotYet is answered by a View for what an earlier, pending change leaves
// open: it can be read once that change is made.
var ErrNotYet = errors.New("known after apply")

// ErrMoved is answered by Apply where the host is no longer as it was when the
// change was planned. Planning again helps.
var ErrMoved = errors.New("the host has changed since this was planned")

// ErrRefused is answered by a plan or by Apply where a service doesn't take the value that
// it was given, as a password that its policy forbids. Trying again never helps; another
// value may.
var ErrRefused = errors.New("the value is refused")

// ErrRebooting is answered by Apply where a reboot is ordered: whether it has come about is
// told by the next boot.
var ErrRebooting = errors.New("the host was told to reboot")

// Action says what a change does to its target.
type Action string

// The actions. Check and Refresh are no drift and count as no change.
const (
	Create  Action = "create"
	Update  Action = "update"
	Delete  Action = "delete"
	Restart Action = "restart"
	Reload  Action = "reload"
	Run     Action = "run"
	Check   Action = "check"
	Refresh Action = "refresh"
)

// Counts reports whether the action alters the host in a way that a user
// would call a change.
func (a Action) Counts() bool { return a != Check && a != Refresh }

// Description is what a change shows of itself. It holds no secret.
type Description struct {
	Action Action `json:"action"`
	Target string `json:"target"`           // a path, "haproxy.service", "user app"
	Diff   string `json:"diff,omitempty"`   // unified, or lines of "name: old → new"
	Impact string `json:"impact,omitempty"` // what the user should know: "removes 2 packages: …"
}

// OfPackages reports whether it is about packages, whichever kind does it.
func (d Description) OfPackages() bool {
	what, _, _ := strings.Cut(d.Target, " ")
	return what == "package" || what == "packages"
}

// Change is one edit to a host, as data: it can be shown, encoded, and made
// later. It takes from earlier changes only what they left on the host.
type Change interface {
	// Type names the encoding, with its version: "file.write/1".
	Type() string
	Describe() Description
	// Effects names every key the change may alter.
	Effects() []Effect
	// Apply first checks the state it was planned on (else ErrMoved). It can
	// be repeated after a cut at any point. Its Result is valid beside an error.
	Apply(ctx context.Context, h *Host) (Result, error)
}

// Wanter is a change that can tell what it wants from what it found: Want is
// compared, instead of the whole change, where something planned before it was
// expected to move what it finds.
type Wanter interface{ Want() any }

// Want returns what a change wants, as JSON.
func Want(c Change) (json.RawMessage, error) {
	if w, ok := c.(Wanter); ok {
		return Marshal(w.Want())
	}
	return Marshal(c)
}

// Result is what making a change has left to be known.
type Result struct {
	Output json.RawMessage // what the task then offers as its output
	// Notes are what the user should know of what was found, whole sentences.
	Notes []string
	// Open is what a check was to find out and couldn't, whole sentences. The task hasn't
	// failed by it; the run says at its end that not all is proved.
	Open []string
}

// Undo takes an edit back. Where an atomic plan fails, the Changes of its edits
// are made, those of the last edit first; then After of all, once, in plan order
// (the reload that loads the restored file).
type Undo struct {
	Changes, After []Change
}

// Interruptible is a change that ends early, cleanly, when its context does
// (at the first ^C, a lost connection, or a timeout). Others are finished.
type Interruptible interface{ Interruptible() }

// Content is bytes known by their sum. The bytes themselves travel apart from
// changes and plans, and only when the host lacks them.
type Content struct {
	Sum       string `json:"sum"` // SHA-256, lowercase hex
	Size      int64  `json:"size"`
	Sensitive bool   `json:"sensitive,omitempty"`
	// Data is the bytes themselves where they are small enough to travel
	// along (InlineLimit); it is no part of a change's encoding.
	Data []byte `json:"-" cbor:"data,omitempty"`
}

// InlineLimit is the size, in bytes, up to which content travels with its task.
const InlineLimit = 1024

// ContentOf returns the content of data, with the bytes themselves.
func ContentOf(data []byte, sensitive bool) Content {
	sum := sha256.Sum256(data)
	return Content{Sum: hex.EncodeToString(sum[:]), Size: int64(len(data)), Sensitive: sensitive, Data: data}
}
