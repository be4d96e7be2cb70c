package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
)

// Host is the machine that a Change edits.
type Host struct {
	// Runner runs programs; System by default.
	Runner Runner
	// Dialer connects to sockets of the host; nil: those of this machine.
	Dialer func(ctx context.Context, network, address string) (net.Conn, error)
	// Pins, if not nil, answers what names stand for.
	Pins Pinner
	// Companions, if not nil, are the other hosts that the task in hand needs.
	Companions Companions
	// Copies, if not nil, is the copy in the project's folder that the task in hand keeps.
	Copies Copies
	// Bodies has the bytes behind contents. The zero value holds what was kept.
	Bodies *Bodies
	// Report, if not nil, is told how a long change is getting on.
	Report func(text string)
	// Redact, if not nil, is applied to what programs print before anybody
	// sees it.
	Redact func(text string) string
	// Name is what the inventory calls the host; "" where nobody has said it.
	Name string
	// Origin is where whoever has logged in to the host comes from, as the host sees it;
	// invalid where nobody has, or where that can't be told.
	Origin netip.Addr
	// RunName is the name of the run that edits the host, in hex; "" where it has none.
	RunName string
	// Passing: what is done is to be taken back in the same run, as what a rolling play
	// does before a host is.
	Passing bool
	// Undo, if not nil, is told what takes an edit back, before it is made. An
	// error fails the change.
	Undo func(u Undo) error
	// Reboots, if not nil, is called right before a reboot is ordered: the run is told, and the
	// host keeps, in which boot that was. An error forbids it. nil: nobody would wait for the
	// host, and it isn't to be rebooted.
	Reboots func() error
	// Asked, if not nil, is told each key that a View is asked for, so that a test
	// can tell what was read past it.
	Asked func(key Key)
	// Step, if not nil, is called between the steps of a change, so that a test
	// can fail or cut it there. An error fails the change.
	Step func(where string) error
}

// At marks a step of a change. A change returns the error, if there is one.
func (h *Host) At(where string) error {
	if h.Step == nil {
		return nil
	}
	return h.Step(where)
}

// Begin says what takes back the edit that is about to be made. A change calls
// it when all is checked and prepared, right before it acts: said after, it
// would be lost with a process that is killed in between. A change that nothing
// takes back says so with an empty Undo, one that may alter anything at all needn't;
// in an atomic plan none may.
func (h *Host) Begin(u Undo) error {
	if h.Undo == nil {
		return nil
	}
	return h.Undo(u)
}

// New returns the machine that this process runs on.
func New() *Host { return &Host{Runner: System{}, Bodies: &Bodies{}} }

// Bodies holds the bytes behind contents, and asks for those it lacks. It is
// safe for concurrent use.
type Bodies struct {
	// Ask streams the bytes of a sum from wherever they are; nil if nowhere.
	Ask func(ctx context.Context, sum string) (io.ReadCloser, error)

	mu   sync.Mutex
	held map[string][]byte
}

// Keep holds data and returns its content. Plan calls it for what it has made
// on the host itself (a file with one line changed).
func (b *Bodies) Keep(data []byte, sensitive bool) Content {
	c := ContentOf(data, sensitive)
	b.hold(c.Sum, data)
	if c.Size > InlineLimit {
		c.Data = nil
	}
	return c
}

// Hold holds the bytes that c brings along, if it does: what a task is about to
// write is read by those behind it.
func (b *Bodies) Hold(c Content) {
	if c.Data != nil {
		b.hold(c.Sum, c.Data)
	}
}

func (b *Bodies) hold(sum string, data []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.held == nil {
		b.held = map[string][]byte{}
	}
	b.held[sum] = data
}

// Open streams the bytes of c. The reader fails at its end where they don't
// have c's size and sum.
func (b *Bodies) Open(ctx context.Context, c Content) (io.ReadCloser, error) {
	if c.Data != nil || c.Size == 0 {
		return io.NopCloser(bytes.NewReader(c.Data)), nil
	}
	b.mu.Lock()
	data, ok := b.held[c.Sum]
	b.mu.Unlock()
	if ok {
		return io.NopCloser(bytes.NewReader(data)), nil
	}
	if b.Ask == nil {
		return nil, fmt.Errorf("content %.12s isn't here", c.Sum)
	}
	r, err := b.Ask(ctx, c.Sum)
	if err != nil {
		return nil, err
	}
	return Verified(r, c), nil
}

// Verified returns r, which fails at its end where it hasn't c's size and sum.
func Verified(r io.ReadCloser, c Content) io.ReadCloser {
	return &checked{r: r, want: c, hash: sha256.New()}
}

// Read returns the bytes of c, which must not be larger than limit.
func (b *Bodies) Read(ctx context.Context, c Content, limit int64) ([]byte, error) {
	if c.Size > limit {
		return nil, fmt.Errorf("content of %d bytes is larger than %d", c.Size, limit)
	}
	r, err := b.Open(ctx, c)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, err
	}
	b.Keep(data, c.Sensitive)
	return data, nil
}

// checked fails where a stream isn't the content it should be.
type checked struct {
	r    io.ReadCloser
	want Content
	hash interface {
		io.Writer
		Sum([]byte) []byte
	}
	n int64
}

func (c *checked) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	c.hash.Write(p[:n])
	if c.n > c.want.Size {
		return n, fmt.Errorf("content %.12s is longer than its %d bytes", c.want.Sum, c.want.Size)
	}
	if err == io.EOF {
		if sum := hex.EncodeToString(c.hash.Sum(nil)); sum != c.want.Sum {
			return n, fmt.Errorf("content %.12s arrived damaged: %d bytes with sum %.12s", c.want.Sum, c.n, sum)
		}
	}
	return n, err
}

func (c *checked) Close() error { return c.r.Close() }

// IsRoot reports whether this process may do everything.
func IsRoot() bool { return os.Geteuid() == 0 }
