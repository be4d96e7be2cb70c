// Package wire is what controller and remote say to each other.
//
// The controller opens a session and sends tasks; the remote plans each in
// the order of their coming and answers Planned. What is to be made is
// granted by ID; the remote answers Done for each. Content travels apart, when
// the remote asks for it by sum.
package wire

import (
	"time"

	"muster/host"
	"muster/modules"
)

// Protocol is the version of these messages. Both sides come from one build,
// so another number means that something is badly wrong.
const Protocol = 1

// Message is one of its fields; the others are nil. In what a run sends for each
// task, fields have numbers and are left out where they say nothing: it is kept
// in the connection's buffers, and there are very many.
type Message struct {
	// From the controller.
	Open   *Open   `cbor:"1,keyasint,omitempty"`
	Task   *Task   `cbor:"2,keyasint,omitempty"`
	Grant  *Grant  `cbor:"3,keyasint,omitempty"`
	Chunk  *Chunk  `cbor:"4,keyasint,omitempty"`
	Cancel *Cancel `cbor:"5,keyasint,omitempty"`
	Gather *Gather `cbor:"6,keyasint,omitempty"`
	Review *Review `cbor:"7,keyasint,omitempty"`
	Ack    *Ack    `cbor:"8,keyasint,omitempty"`
	Proof  *Proof  `cbor:"9,keyasint,omitempty"`
	Drop   *Drop   `cbor:"27,keyasint,omitempty"`
	Trace  *Trace  `cbor:"38,keyasint,omitempty"`
	Renew  *Renew  `cbor:"40,keyasint,omitempty"`

	// Of tasks that need a second host; see stream.go.
	Accompany *Accompany `cbor:"29,keyasint,omitempty"`
	Send      *Send      `cbor:"30,keyasint,omitempty"`
	Dial      *Dial      `cbor:"31,keyasint,omitempty"`
	Hangup    *Hangup    `cbor:"32,keyasint,omitempty"` // and from the remote
	Part      *Part      `cbor:"33,keyasint,omitempty"` // and from the remote
	Took      *Took      `cbor:"34,keyasint,omitempty"` // and from the remote

	// From the remote.
	Hello    *Hello    `cbor:"10,keyasint,omitempty"`
	Planned  *Planned  `cbor:"11,keyasint,omitempty"`
	Done     *Done     `cbor:"12,keyasint,omitempty"`
	Need     *Need     `cbor:"13,keyasint,omitempty"`
	Progress *Progress `cbor:"14,keyasint,omitempty"`
	Facts    *Facts    `cbor:"15,keyasint,omitempty"`
	Fault    *Fault    `cbor:"16,keyasint,omitempty"`
	Undo     *Undo     `cbor:"17,keyasint,omitempty"`
	Reviewed *Reviewed `cbor:"18,keyasint,omitempty"`
	Traced   *Traced   `cbor:"39,keyasint,omitempty"`
	Prove    *Prove    `cbor:"22,keyasint,omitempty"`
	Alive    *Alive    `cbor:"19,keyasint,omitempty"` // and from the controller
	TakenUp  *TakenUp  `cbor:"24,keyasint,omitempty"`
	CutOff   *CutOff   `cbor:"25,keyasint,omitempty"`
	Pin      *Pin      `cbor:"26,keyasint,omitempty"` // and from the controller
	Copy     *Copy     `cbor:"42,keyasint,omitempty"` // and from the controller
	Bring    *Bring    `cbor:"43,keyasint,omitempty"`
	Reboot   *Reboot   `cbor:"44,keyasint,omitempty"` // and from the controller

	Receive   *Receive   `cbor:"35,keyasint,omitempty"`
	Listening *Listening `cbor:"36,keyasint,omitempty"`
	Sent      *Sent      `cbor:"37,keyasint,omitempty"`
	Renewed   *Renewed   `cbor:"41,keyasint,omitempty"`

	// Between a remote and its workers.
	Lay  *Lay  `cbor:"20,keyasint,omitempty"`
	Hold *Hold `cbor:"21,keyasint,omitempty"`
	Runs *Runs `cbor:"28,keyasint,omitempty"`
}

// Hello is the remote's first message, sent without being asked.
type Hello struct {
	Protocol int
	Sum      string // the SHA-256 of the remote's own program, hex
	User     string // whom it runs as
	Facts    []byte // JSON
}

// Open begins a session.
type Open struct {
	Login string // the user who logged in, so that become = false can go back to it
	// Host is what the inventory calls the host.
	Host string
	// Key is what digests are keyed with.
	Key []byte
	// ReadOnly sessions (plan, drift) are never granted anything; the remote
	// takes a grant in one for a fault.
	ReadOnly bool
	// Run is the run's name, in hex, under which the host keeps what it makes; ""
	// keeps nothing.
	Run string
	// Seal is what the host seals with what tasks say, where it keeps that: 32 bytes that
	// stand on no disk. Without it that isn't kept.
	Seal []byte
	// Take is how often this run has taken the host up again; 0 is its first
	// connection. Where it isn't, the remote first ends those before it, then tells
	// the ends of tasks that the controller hasn't heard of, then answers TakenUp.
	Take int
	// Have is how many ends the controller has.
	Have int
}

// TakenUp says what became of tasks whose ends nobody told.
type TakenUp struct {
	// Doubtful tasks were begun, and nobody knows their end: they do their work anew
	// whenever they are made, and aren't to be made twice.
	Doubtful []string
	// Unknown says why the host can't tell what was made; "" where it can.
	Unknown string
}

// CutOff says what a run that was cut off in an atomic task has left on the host, before
// anything is planned there: the change under ID takes it back, and is granted like a
// task, first of all.
type CutOff struct {
	ID      string // CutOffID and the run's name
	Since   time.Time
	Changes []host.Description
	Digest  string
}

// CutOffID begins the IDs of changes that take back what a run left.
const CutOffID = "cut-off/"

// Drop takes tasks out of the plan of a host, which is from then on as if they hadn't
// been sent: they are sent anew, behind others. None of them may have been granted.
type Drop struct{ IDs []string }

// Renew lets the host know that a secret's rotation is still in hand, and who has it. It is
// answered by Renewed, with or without a session: no lock of the host is taken for it.
type Renew struct{ Secret, By string }

// Renewed says who has the rotation, which may be somebody else by now, or what kept it
// from being renewed.
type Renewed struct{ By, Error string }

// Ack says how many ends of a run's tasks on this host the controller has. The remote
// answers it with the same, once it has let go of what it needn't keep any more.
type Ack struct{ Ends int }

// Task is one task of a play, for this host.
type Task struct {
	ID   string `cbor:"1,keyasint,omitempty"`
	Kind string `cbor:"2,keyasint,omitempty"`
	Args Args   `cbor:"3,keyasint"`
	// As is the user who acts; "" is the one the remote runs as.
	As        string             `cbor:"4,keyasint,omitempty"`
	When      *modules.Condition `cbor:"5,keyasint,omitempty"`
	Sensitive bool               `cbor:"6,keyasint,omitempty"`
	Secrets   []string           `cbor:"7,keyasint,omitempty"` // what must never be shown
	Timeout   time.Duration      `cbor:"8,keyasint,omitempty"`
	Retry     *Retry             `cbor:"9,keyasint,omitempty"`
	// Tolerate keeps a failure of this task from stopping those behind it.
	Tolerate bool `cbor:"10,keyasint,omitempty"`
	// Late tasks are sent at their turn, when what they read has become known
	// or a block needs its rescue: they are not answered, but planned on the
	// host as it is when they are granted. One of the same ID is replaced.
	Late bool `cbor:"11,keyasint,omitempty"`
	// Guess marks a task whose arguments were made of facts that pending changes
	// may move: its plan is tentative, and it comes again, late.
	Guess bool `cbor:"12,keyasint,omitempty"`
	// Passing marks a task that others take back by design (what a rolling play
	// does before): nothing is compared with what it leaves.
	Passing bool `cbor:"13,keyasint,omitempty"`
	// Apart marks a sensitive task of which it is known where the secrets stand:
	// its diffs are shown, but for the secrets and what the arguments in Withheld
	// have in them. Arguments that the kind itself never shows aren't named there.
	Apart    bool     `cbor:"14,keyasint,omitempty"`
	Withheld []string `cbor:"16,keyasint,omitempty"`
	// Shown is what the task's plan showed when an earlier connection planned it:
	// it may still do that, and nothing else.
	Shown *Planned `cbor:"15,keyasint,omitempty"`
	// Companions are the other hosts that the task needs, each with what its companion's
	// plan has told, JSON; empty where that is open.
	Companions map[string][]byte `cbor:"17,keyasint,omitempty"`
	// Others are the arguments with other versions of its secrets that are valid: where
	// a plan with them finds nothing to do, there is nothing to do.
	Others []Args `cbor:"18,keyasint,omitempty"`
	// Made are the values of secrets that it is made of, each as the secret's name and its
	// secret.Digest, with a space between.
	Made []string `cbor:"19,keyasint,omitempty"`
	// Ended is the task without values that are about to be retired, for a host that knows
	// that they count no more.
	Ended *Ended `cbor:"20,keyasint,omitempty"`
	// Environment is variables of the programs that the task runs, NAME=value, sorted.
	Environment []string `cbor:"21,keyasint,omitempty"`
}

// Ended are a task's arguments and Others without values that are about to be retired, which
// Made tells.
type Ended struct {
	Args   Args     `cbor:"1,keyasint"`
	Others []Args   `cbor:"2,keyasint,omitempty"`
	Made   []string `cbor:"3,keyasint,omitempty"`
}

// Retry says how often a failing task is tried.
type Retry struct {
	Attempts int
	Delay    time.Duration
}

// Grant lets tasks be made, in this order. When one fails that isn't
// tolerated, those behind it in its chain are dropped and answered as skipped,
// until a grant of a later epoch begins the chain anew.
type Grant struct {
	IDs   []string
	Chain string // "" is the host's own; tasks for other hosts are chains of their own
	Epoch int
	// Acked is how many ends of the run's tasks on this host the controller has.
	Acked int
}

// Prove asks the controller to log in anew: changes on probation are made.
type Prove struct {
	ID string // of the task
	N  int    // of the question; the answer has it
}

// Proof answers Prove.
type Proof struct {
	N     int
	Error string // why no login succeeded; "" where one did
}

// How long the controller may take for a login that proves something, and how long a
// remote waits for the answer: it takes back what isn't proven before the controller
// gives up a connection on which it hears nothing.
const (
	ProofTime = 30 * time.Second
	ProofWait = 40 * time.Second
)

// Reboot tells the controller that a task is about to order a reboot, and waits for the
// answer, of the same ID. From then on the end of the connection is the task's, and it is
// taken up again in another boot.
type Reboot struct {
	ID    string // of the task
	Boot  string // the id of the boot that is to end
	Error string // of an answer: why it isn't to be ordered
}

// Pin asks what a name stands for in this run, answers that, or tells it. A question is
// answered with an Answer, with an Error, or with neither: then the remote finds out by
// itself, and tells that with another Pin that is Told.
type Pin struct {
	N      int    // of the question; the answer has it
	Name   string // "the image app:1.4"
	Mine   string // what it stands for on the host already
	Answer string
	Error  string
	Told   bool
}

// Cancel ends what is running: interruptible changes at once, others when they
// are finished. Nothing granted before it is begun after it.
type Cancel struct{}

// Runs says that a worker has started a process for the task in hand.
type Runs struct{ PID int }

// Alive says that its sender lives, whatever it is doing. Both sides send it every
// AliveEvery: a long task can be told from a remote that hangs, and a remote that
// hears nothing of its controller begins nothing more.
type Alive struct{}

// How often each side says that it is alive, and how long the other believes it
// without a word.
const (
	AliveEvery = 10 * time.Second
	Silence    = 45 * time.Second
)

// Gather asks for the facts as they are.
type Gather struct{}

// Facts answers Gather.
type Facts struct{ Facts []byte }

// Trace asks what the host knows of who altered what tasks would put right. They are
// tasks that the host has planned in this session: it tells of nothing else.
type Trace struct{ IDs []string }

// Traced answers Trace, in its order: lines for people.
type Traced struct{ Known [][]string }

// Certainty says how sure a planned task is.
type Certainty string

// The certainties.
const (
	Known     Certainty = "known"
	Tentative Certainty = "tentative" // behind something that can't be foreseen
	Deferred  Certainty = "deferred"  // known after apply
)

// Status is where a task stands.
type Status string

// The statuses, as events show them.
const (
	Unchanged Status = "unchanged"
	Changed   Status = "changed"
	Pending   Status = "pending"
	Failed    Status = "failed"
	Skipped   Status = "skipped"
	// NotReached: it never came to its turn, since its host had failed before it, or the
	// run ended. A host tells it as Skipped, with an error that says why.
	NotReached  Status = "not_reached"
	Unreachable Status = "unreachable"
	// Unknown: the connection was lost, and whether it was made can't be told.
	Unknown Status = "unknown"
)

// Planned answers a Task.
type Planned struct {
	ID        string             `cbor:"1,keyasint,omitempty"`
	Status    Status             `cbor:"2,keyasint,omitempty"` // Unchanged, Pending, Failed or Skipped
	Certainty Certainty          `cbor:"3,keyasint,omitempty"`
	Changes   []host.Description `cbor:"4,keyasint,omitempty"`
	Then      []host.Description `cbor:"5,keyasint,omitempty"`
	Always    bool               `cbor:"6,keyasint,omitempty"` // runs every time: no drift
	Output    []byte             `cbor:"7,keyasint,omitempty"` // JSON; nil where it isn't known, or there is none
	// OutputKnown: Output is what the task offers; false while it is pending.
	OutputKnown bool    `cbor:"8,keyasint,omitempty"`
	Digest      string  `cbor:"9,keyasint,omitempty"`  // of the changes, keyed
	Wants       string  `cbor:"10,keyasint,omitempty"` // of what they want, whatever they found, keyed
	Behind      bool    `cbor:"11,keyasint,omitempty"` // earlier tasks bring what it is about: what it finds may move
	Error       string  `cbor:"12,keyasint,omitempty"`
	Seconds     float64 `cbor:"13,keyasint,omitempty"`
	Conditional bool    `cbor:"14,keyasint,omitempty"` // whether it runs at all is known after apply
	// Facts are those that the task's changes move, MayFacts those that they may.
	Facts    []string `cbor:"15,keyasint,omitempty"`
	MayFacts []string `cbor:"16,keyasint,omitempty"`
	// Pins are the names that the plan depends on, with what they stand for on the host.
	Pins map[string]string `cbor:"17,keyasint,omitempty"`
	// Notes are what the user should know of the host besides.
	Notes []string `cbor:"18,keyasint,omitempty"`
	// ErrorArg and ErrorPath are the argument that Error is about, as modules.ArgError has them.
	ErrorArg  string `cbor:"19,keyasint,omitempty"`
	ErrorPath string `cbor:"20,keyasint,omitempty"`
	// Refused: Error is a host.ErrRefused.
	Refused bool `cbor:"21,keyasint,omitempty"`
}

// Done answers a granted task.
type Done struct {
	ID      string             `cbor:"1,keyasint,omitempty"`
	Status  Status             `cbor:"2,keyasint,omitempty"` // Unchanged, Changed, Failed or Skipped
	Changes []host.Description `cbor:"3,keyasint,omitempty"` // that were made
	Output  []byte             `cbor:"4,keyasint,omitempty"`
	Error   string             `cbor:"5,keyasint,omitempty"`
	Undone  bool               `cbor:"6,keyasint,omitempty"` // an atomic plan failed and what it made was taken back
	Seconds float64            `cbor:"7,keyasint,omitempty"`
	// Open is what a check couldn't find out, Notes what the user should know besides, as far
	// as the plan hadn't told it.
	Open  []string `cbor:"8,keyasint,omitempty"`
	Notes []string `cbor:"9,keyasint,omitempty"`
	// Refused: Error is a host.ErrRefused.
	Refused bool `cbor:"10,keyasint,omitempty"`
}

// Need asks for content.
type Need struct {
	Stream uint64
	Sum    string
}

// Chunk answers Need, part by part.
type Chunk struct {
	Stream uint64
	Data   []byte
	Last   bool
	Error  string
}

// Progress says how a long change is getting on.
type Progress struct {
	ID   string
	Text string
	// Waits: Text is what the host waits for before it goes on with anything; "": for nothing
	// any more.
	Waits bool
}

// Undo is what takes an edit back, told right before it is made, for the journal.
type Undo struct {
	ID     string // of the task
	Target string // of the edit
	Steps  []UndoStep
	// Missing says why there are no steps; "" where there are.
	Missing string
}

// UndoStep is one change that takes an edit back.
type UndoStep struct {
	Type   string // of the change
	Change []byte // JSON
	Former []byte // what stood in the file that it writes
	// After steps make the restored state count (a reload): they come when all
	// others of a task are made.
	After bool `cbor:",omitempty"`
}

// FormerLimit is the size, in bytes, up to which former content is kept.
const FormerLimit = 256 << 10

// Fault is the remote's own failure, its last message.
type Fault struct{ Error string }

// Lay passes between a remote and its workers what the others must know, and to a
// remote what was judged of its tasks.
type Lay struct {
	Effects []host.Effect            // of what was planned
	Settled map[string]modules.Truth // tasks that changed something, or didn't
	Doubted []string                 // tasks that may yet fail, where others count on no success
	Reset   bool                     // the host has been changed
	// Shown, from a worker: what its task is held to, beside what Planned says.
	Shown *Shown
	// ID is the task whose effects they are, where they are one's.
	ID string
}

// Shown is what a planned task is held to at its turn.
type Shown struct {
	Wants  map[string]int // of its changes
	Behind bool           // something was pending when it was planned
}

// Hold hands a task to a worker that another one has planned, or made.
type Hold struct {
	Task    Task
	Planned Planned
	Effects []host.Effect
	Shown   Shown
	Changed modules.Truth
}
