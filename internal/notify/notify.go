// Package notify tells people and programs what has changed between drift checks.
//
// What each receiver was told is kept on disk (Ledger). A check is held against that,
// not against the check before it, and the difference is the message. So a message that
// couldn't be delivered is owed until the next check, and what has settled until then
// is never told; a receiver that is added later is told all that stands.
//
// A message holds names and what hosts say, never content of files. Its receivers are
// given text that can neither forge a line nor call somebody (see text.go), and what
// opens a receiver's door, such as an address or a password, is in no message and no error.
package notify

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"time"
)

// Event is what has changed.
type Event string

// The events.
const (
	New       Event = "new"       // drift
	Back      Event = "back"      // drift that was put right, and is there again
	Contested Event = "contested" // that has come back so often that somebody else sets it
	Gone      Event = "gone"      // drift that was told
	Unchecked Event = "unchecked" // a host couldn't be reached
	Partly    Event = "partly"    // a task failed on a host, so that not all of it was looked at
	Checked   Event = "checked"   // a host that couldn't be is checked again
	Failed    Event = "failed"    // the check as a whole couldn't be made, or kept
	Works     Event = "works"     // checks are made again
	Test      Event = "test"      // nothing has changed: a configuration is tried
)

// Change is one thing that has changed. Which fields are set depends on the event.
type Change struct {
	Event    Event  `json:"event"`
	Host     string `json:"host,omitempty"`
	On       string `json:"on,omitempty"` // the host acted on, where it isn't Host
	Playbook string `json:"playbook,omitempty"`
	Play     string `json:"play,omitempty"`
	Task     string `json:"task,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Returned int    `json:"returned,omitempty"` // how many times running it came back
	// PutRightBy and PutRightRun are the run that put it right.
	PutRightBy  string   `json:"put_right_by,omitempty"`
	PutRightRun string   `json:"put_right_run,omitempty"`
	Known       []string `json:"known,omitempty"` // what the host knows of who did it
	Error       string   `json:"error,omitempty"`
}

// Message is what one receiver is told of one check.
type Message struct {
	ID      string    `json:"id"` // the same for the same changes, however often they are sent
	Project string    `json:"project"`
	Check   string    `json:"check,omitempty"` // its id in the journal; "" where it isn't kept
	By      string    `json:"by"`
	At      time.Time `json:"at"`
	Counts  Counts    `json:"counts"`
	Changes []Change  `json:"changes"`
	LeftOut int       `json:"left_out,omitempty"` // changes that are counted and not listed
}

// Counts are how many changes of each kind a message tells, and how much drift there is.
type Counts struct {
	New       int `json:"new"` // also those that are back
	Gone      int `json:"gone"`
	Unchecked int `json:"unchecked"` // also in part
	Checked   int `json:"checked"`
	Contested int `json:"contested"`
	Standing  int `json:"standing"` // drift in all, told before or now
}

// The limits of a message.
const (
	listed   = 200           // changes in one
	textSize = 400           // bytes of each text
	readSize = 10 * textSize // of which it is looked for secrets, so that none is cut in two
)

// NewMessage is the message of changes, of which as many are listed as there is room for.
func NewMessage(to string, changes []Change, standing int) *Message {
	m := &Message{Counts: Counts{Standing: standing}, Changes: changes}
	named := slices.Clone(changes)
	for i := range changes {
		named[i].Known, named[i].Error = nil, "" // which a host may put in other words
		switch changes[i].Event {
		case Contested:
			m.Counts.Contested++
			m.Counts.New++
		case New, Back:
			m.Counts.New++
		case Gone:
			m.Counts.Gone++
		case Unchecked, Partly:
			m.Counts.Unchecked++
		case Checked:
			m.Counts.Checked++
		}
	}
	text, _ := json.Marshal(named) // strings and numbers: it can't fail
	sum := sha256.Sum256(append([]byte(to+"\x00"), text...))
	m.ID = hex.EncodeToString(sum[:16])
	if n := len(changes) - listed; n > 0 {
		m.Changes, m.LeftOut = changes[:listed], n
	}
	return m
}

// Redact passes every text of a message through hide.
func (m *Message) Redact(hide func(string) string) {
	m.Project, m.By = hide(m.Project), hide(m.By)
	list := make([]Change, len(m.Changes))
	for i, c := range m.Changes {
		for _, text := range []*string{&c.Host, &c.On, &c.Playbook, &c.Play, &c.Task, &c.File, &c.PutRightBy, &c.Error} {
			*text = cut(hide(cut(*text, readSize)), textSize)
		}
		known := make([]string, len(c.Known))
		for n, text := range c.Known {
			known[n] = cut(hide(cut(text, readSize)), textSize)
		}
		if c.Known = known; len(known) == 0 {
			c.Known = nil
		}
		list[i] = c
	}
	m.Changes = list
}
