// Package engine runs playbooks on hosts: it is the controller's half of a run.
//
// A run has two passes over the same plays. Plan sends every host all its
// tasks at once, in order, and waits only where an expression reads an earlier
// output or another host; what comes back says what each task would do. Apply
// then grants the hosts on which something is pending their tasks, a window
// at a time, and reports what was made. Hosts don't wait for each other, but
// for the end of a play, of a batch, and at a barrier.
package engine

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/zclconf/go-cty/cty"

	"muster/host"
	"muster/internal/lang/eval"
	"muster/modules"
	"muster/secret"
)

// Options is what a run needs.
type Options struct {
	Playbook *eval.Playbook
	// Project is the folder in which copies of hosts' files are kept; "": there is none.
	Project string
	// Limit is the hosts that the run is limited to; nil: all.
	Limit map[string]bool
	// Tags and SkipTags choose tasks: those with one of Tags (all, if there
	// are none) and without any of SkipTags.
	Tags, SkipTags []string
	// Parallel is how many hosts are worked on at once; 0: all.
	Parallel int
	// Connect logs in to a host and starts the remote there. The stream begins
	// with the remote's first message.
	Connect Connector
	// Fresh returns a connector that shares no connection with Connect, and what closes
	// those that it has made: its logins prove changes on probation. nil: Connect is one.
	Fresh func() (connect Connector, done func())
	// Behind lists the hosts that are reached through one; nil: none is.
	Behind func(host string) []string
	// Local reports whether a host is the machine that this runs on, and Boot is the id of
	// the boot that this is in: the run doesn't reboot itself. nil, and "": none is.
	Local func(host string) bool
	Boot  string
	// FactsType is the type of the facts that remotes send as JSON.
	FactsType cty.Type
	// FactKeys says what the facts are made of that changes move; see facts.Keys.
	FactKeys map[string][]host.Key
	Kinds    *modules.Registry
	Events   func(Event) // called from one goroutine at a time
	// Redact is applied to everything that is shown.
	Redact *secret.Redactor
	// Unfinished are hosts that an earlier run was cut off on: what a rolling play
	// does before and after is done for them even where the play itself would
	// change nothing, as it may be the only thing that is left.
	Unfinished map[string]bool
	// ReadOnly runs only plan: their hosts make nothing, whatever they are told.
	ReadOnly bool
	// Trace has hosts tell, behind their plans, who altered what isn't as tasks say.
	Trace bool
	// Key keys the digests of what tasks change, 32 bytes; nil: a random one.
	Key []byte
	// Facts are taken for what hosts would say of themselves: those that a saved
	// plan was made with, as JSON.
	Facts map[string]json.RawMessage
	// Pins are what names stand for in a saved plan.
	Pins map[string]string
	// Silence is how long a host may say nothing at all; 0: wire.Silence.
	Silence time.Duration
	// AliveEvery is how often hosts are told that the controller is there; 0:
	// wire.AliveEvery.
	AliveEvery time.Duration
	// Pauses are those before each attempt to connect anew to a host whose connection
	// was lost; nil: three, of up to some seconds.
	Pauses []time.Duration
	// BootPause is the one before each attempt to connect to a host that reboots; 0: two
	// seconds.
	BootPause time.Duration
	// KeepFacts keeps what hosts say of themselves for KnownFacts.
	KeepFacts bool
}

// Connector logs in to a host and starts its remote.
type Connector func(ctx context.Context, host string, s Start) (Stream, error)

// Start says how a remote is started.
type Start struct {
	Root bool // as root, else as the user who logs in
	// Fresh sends the program anew: the one that the host had is damaged.
	Fresh bool
}

// Stream is the connection to a remote. Close ends it and the remote with it.
type Stream interface {
	io.Reader
	io.Writer
	io.Closer
	// Why says more about a stream that has ended: the last words of the
	// remote or of what was to start it. "" if there are none.
	Why() string
	// Login is the name of the user who logged in.
	Login() string
	// Sum is the SHA-256, in hex, that the remote's program is to have; "" if
	// any will do.
	Sum() string
}

// Run is one run of a playbook.
type Run struct {
	o     Options
	key   []byte
	name  string // under which hosts keep what they make
	seal  []byte // with which they seal what tasks say
	hosts map[string]*hostRun
	order []*hostRun // as the plays name them
	gate  chan struct{}
	kept  Journal // nil: nothing keeps what is made

	mu        sync.Mutex     // guards what follows, and every hostRun's state
	change    *sync.Cond     // something was settled
	endPlan   func()         // ends planning; nil: it hasn't begun
	enroll    func(*hostRun) // connects to a host that no play is about, in the background
	applying  bool
	stop      bool
	stopCause error // why it stopped by itself
	pins      map[string]*pin
	claims    []*claim         // in the order in which they were made
	flows     map[uint64]*flow // streams between hosts, by their number
	lastFlow  uint64
	// disagreed: hosts have different answers to what a name stands for.
	disagreed bool

	emitting sync.Mutex

	life    context.Context // until the run is closed, or aborted
	end     context.CancelFunc
	working sync.WaitGroup // what goes on by itself: hosts that are taken up again, proofs
}

// New returns a run of the hosts that the playbook's plays match.
func New(o Options) *Run {
	r := &Run{o: o, key: make([]byte, 32), seal: make([]byte, 32), hosts: map[string]*hostRun{}, pins: savedPins(o.Pins), flows: map[uint64]*flow{}}
	r.change = sync.NewCond(&r.mu)
	_, _ = rand.Read(r.key) // never fails, as crypto/rand promises
	_, _ = rand.Read(r.seal)
	r.name = hex.EncodeToString(r.key[:16])
	r.life, r.end = context.WithCancel(context.Background())
	if o.Key != nil {
		r.key = o.Key
	}
	if o.Redact == nil {
		r.o.Redact = &secret.Redactor{}
	}
	if o.Parallel > 0 {
		r.gate = make(chan struct{}, o.Parallel)
	}
	for _, p := range o.Playbook.Plays {
		for i, name := range p.Hosts {
			if o.Limit != nil && !o.Limit[name] {
				continue
			}
			r.host(name)
			r.hosts[name].plays = append(r.hosts[name].plays, &playRun{play: p, rank: i})
		}
	}
	return r
}

// host returns the state of a host, made if there is none.
func (r *Run) host(name string) *hostRun {
	h := r.hosts[name]
	if h == nil {
		h = &hostRun{name: name, run: r, outcomes: map[string]*item{}}
		r.hosts[name] = h
		r.order = append(r.order, h)
	}
	return h
}

// Hosts are the hosts that the run is about, as the plays name them: not those
// that are only asked, or acted on for others.
func (r *Run) Hosts() []string {
	var list []string
	for _, h := range r.order {
		if len(h.plays) > 0 {
			list = append(list, h.name)
		}
	}
	return list
}

// Keep has a journal keep what Apply makes. It is called before Apply.
func (r *Run) Keep(j Journal) { r.kept = j }

// Refuse leaves a host as it is: Apply makes nothing on it.
func (r *Run) Refuse(host string, why error) {
	if h := r.hosts[host]; h != nil {
		h.lost(why)
	}
}

// KnownFacts returns what the hosts that answered said of themselves, as JSON,
// where Options.KeepFacts says that it is asked for.
func (r *Run) KnownFacts() map[string]json.RawMessage {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := map[string]json.RawMessage{}
	for _, h := range r.order {
		if h.hasFacts {
			all[h.name] = h.said
		}
	}
	return all
}

// Close ends every connection, once hosts have let go of what they kept of the run.
func (r *Run) Close() {
	r.part()
	r.end()
	if r.endPlan != nil {
		r.endPlan()
	}
	defer r.working.Wait()
	for _, h := range r.order {
		h.close()
	}
}

// enter waits for a place among the hosts worked on at once.
func (r *Run) enter(ctx context.Context) error {
	if r.gate == nil {
		return ctx.Err()
	}
	select {
	case r.gate <- struct{}{}:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// leave gives the place back. Who couldn't take it again, because the run was
// cancelled, has none to give.
func (r *Run) leave() {
	select {
	case <-r.gate:
	default:
	}
}

// awaitOthers is await for a host that waits for others: they may need its
// place among those worked on at once.
func (r *Run) awaitOthers(ctx context.Context, ready func() bool) error {
	r.mu.Lock()
	now := ready()
	r.mu.Unlock()
	if now || r.gate == nil {
		return r.await(ctx, ready)
	}
	r.leave()
	if err := r.await(ctx, ready); err != nil {
		return err
	}
	return r.enter(ctx)
}

// each calls f for hosts at the same time and waits for all of them.
func each(hosts []*hostRun, f func(h *hostRun)) {
	var wg sync.WaitGroup
	for _, h := range hosts {
		wg.Add(1)
		go func() {
			defer wg.Done()
			f(h)
		}()
	}
	wg.Wait()
}
