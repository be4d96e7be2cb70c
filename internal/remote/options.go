package remote

import (
	"context"
	"io"
	"net/netip"
	"time"

	"muster/host"
	"muster/modules"
)

// Options say how a remote serves.
type Options struct {
	Kinds *modules.Registry
	// Facts gathers the facts of this host, as JSON.
	Facts func(ctx context.Context) []byte
	// FactKeys says what the facts are made of that changes move; see facts.Keys.
	FactKeys map[string][]host.Key
	// Sum is the SHA-256 of this program, hex.
	Sum string
	// Worker: this is the worker of another remote, for one more user.
	Worker bool
	// AliveEvery is how often the remote says that it lives; 0: wire.AliveEvery.
	AliveEvery time.Duration
	// Silence is how long nothing may be heard of the controller; 0: wire.Silence.
	Silence time.Duration
	// Finishing is how long the change in hand may go on when the controller is gone,
	// where it could be interrupted; 0: two minutes.
	Finishing time.Duration
	// Lock is the file that keeps two runs off one host; "": the usual one.
	Lock string
	// Account returns what a worker of a user is made of: numbers, home and groups.
	// A worker is started anew where that has changed. nil: what the host says.
	Account func(user string) (string, error)
	// Probation is how long a change stands that nothing proves; 0:
	// modules.ProbationTime. ProofWait is how long the controller is waited for that is
	// to prove it; 0: wire.ProofWait.
	Probation, ProofWait time.Duration
	// Plain has no systemd take back what isn't proven, also where there is one.
	Plain bool
	// Records is the folder of what runs keep on this host; "": record.Dir.
	Records string
	// Outdated returns what refuses tasks that are made with values of secrets that count no
	// more on this host; nil refuses nothing. It is asked once, for the first task with secrets.
	Outdated func() func(made []string) error
	// Renew renews the rotation of a secret on this host, where by has it, and returns who
	// has it. nil: none are renewed.
	Renew func(secret, by string) (has string, err error)
	// OnlyPlans is a remote of a login that changes nothing: it refuses whatever isn't part
	// of a plan, and plans only tasks that Agreed knows.
	OnlyPlans bool
	// Agreed is the folder in which the tasks are noted that those who may change this host
	// have had planned; where it isn't there, none are. "": nothing is noted.
	Agreed string
	// Origin is where whoever has logged in comes from; invalid where that isn't known.
	Origin netip.Addr
	// Boot returns the id of the boot that the host is in; nil: what the kernel says.
	Boot func() (string, error)
	// Spawn starts a worker; nil where there can't be any.
	Spawn func(ctx context.Context, user string) (io.ReadWriteCloser, error)
}

// expecting reports whether a kind wants to know of tasks to come.
func (o *Options) expecting(kind string) bool {
	k := o.Kinds.Kind(kind)
	return k != nil && k.Expect != nil
}
