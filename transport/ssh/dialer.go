package ssh

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"syscall"
	"time"

	"golang.org/x/crypto/ssh"

	"muster/transport"
)

// Dialer opens connections to hosts, those behind a bastion through one shared
// connection to it. It implements transport.Dialer.
type Dialer struct {
	opts     Options
	hostKeys *hostKeys
	keys     *keys
	gate     *gate
	running  sync.WaitGroup // of the clients

	ctx  context.Context // ends when the dialer is closed
	stop context.CancelFunc

	configOnce sync.Once
	configured *sshConfig
	configErr  error

	mu       sync.Mutex
	closed   bool
	bastions map[string]*bastion
	places   map[string]chan struct{} // by address dialed
}

// placeLimit is how many logins to one address may be under way at once: sshd
// starts to drop them at ten (MaxStartups 10:30:100).
const placeLimit = 4

// New returns a Dialer. Close it to end its connections.
func New(o Options) *Dialer {
	o = o.filled()
	var once sync.Map
	warn := o.Warn
	o.Warn = func(message string) {
		if _, told := once.LoadOrStore(message, true); !told {
			warn(message)
		}
	}
	d := &Dialer{
		opts:     o,
		hostKeys: &hostKeys{opts: o},
		keys:     &keys{opts: o, files: map[string]keyFile{}, agents: map[string]*sshAgent{}},
		gate:     &gate{limit: o.RefusedLogins, sets: map[string]*keySet{}},
		bastions: map[string]*bastion{},
		places:   map[string]chan struct{}{},
	}
	d.ctx, d.stop = context.WithCancel(context.Background())
	return d
}

// Close ends all connections and waits for them.
func (d *Dialer) Close() error {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.stop()
	d.running.Wait()
	return nil
}

// track runs work in a goroutine that Close waits for. Work that begins after
// Close ends soon by itself.
func (d *Dialer) track(work func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.closed {
		go work()
		return
	}
	d.running.Go(work)
}

func (d *Dialer) config() (*sshConfig, error) {
	d.configOnce.Do(func() {
		d.configured, d.configErr = readConfig(d.home("~/.ssh/config"), d.opts.Warn)
	})
	return d.configured, d.configErr
}

// Dial implements transport.Dialer.
func (d *Dialer) Dial(ctx context.Context, t transport.Target) (transport.Conn, error) {
	c, err := d.dial(ctx, t, d.hostKeys.check)
	if err != nil {
		return nil, err
	}
	return &conn{client: c}, nil
}

// dial logs in to t; checkKey decides about t's own key, the bastions' are
// checked as ever.
func (d *Dialer) dial(ctx context.Context, t transport.Target, checkKey func(hop, ssh.PublicKey) error) (*client, error) {
	hops, err := d.route(t)
	if err != nil {
		return nil, &transport.UnreachableError{Host: t.Name, Stage: transport.StageSettings, Err: err}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(d.ctx, cancel)()
	c, err := d.reach(ctx, hops, checkKey, false)
	if err != nil && ctx.Err() != nil {
		if d.ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", t.Name, net.ErrClosed)
		}
		return nil, context.Cause(ctx)
	}
	return c, err
}

// The server may hang up before it has said who it is, because too many logins
// are under way. Then it is tried again.
const (
	dropTries  = 6
	dropPause  = 250 * time.Millisecond // doubled each time
	maxBastion = 2                      // bastion connections that one Dial may use
)

// reach logs in to the last of hops. A patient one also tries again when
// nothing listens yet (a bastion that is being restarted).
func (d *Dialer) reach(ctx context.Context, hops []hop, checkKey func(hop, ssh.PublicKey) error, patient bool) (*client, error) {
	h := hops[len(hops)-1]
	ring, err := d.keys.ring(h)
	if err != nil {
		return nil, &transport.UnreachableError{Host: h.name, Where: where(hops), Stage: transport.StageSettings, Err: err}
	}
	leave, err := d.place(ctx, hops)
	if err != nil {
		return nil, err
	}
	defer leave()
	pause, bastions := dropPause, 1
	for try := 1; ; try++ {
		raw, via, f := d.connect(ctx, hops)
		if f == nil {
			l := &login{d: d, h: h, conn: &watched{Conn: raw, held: true}, ring: ring, through: where(hops[:len(hops)-1]), checkKey: checkKey}
			var c *client
			if c, f = l.run(ctx); f == nil {
				return c, nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case via != nil && via.dead() && bastions < maxBastion:
			bastions++ // the bastion is gone, not the host: once more through a new one
			continue
		case via != nil && via.dead():
			f = &failure{stage: transport.StageBastion, err: fmt.Errorf("the bastion's connection is lost again: %w", via.cause())}
		case try < dropTries && (f.again || patient && errors.Is(f.err, syscall.ECONNREFUSED)):
			select {
			case <-time.After(pause):
				pause *= 2
				continue
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		case f.again && try > 1:
			f.err = fmt.Errorf("%w (%d tries)", f.err, try)
		}
		return nil, &transport.UnreachableError{Host: h.name, Where: where(hops), Stage: f.stage, Err: f.err, Hint: f.hint}
	}
}

// where says where the last of hops is.
func where(hops []hop) string {
	last := len(hops) - 1
	if last < 0 {
		return ""
	}
	s := hops[last].addr()
	for i := last - 1; i >= 0; i-- {
		s += " through " + hops[i].name
	}
	return s
}

// place waits until a login to the last of hops may begin.
func (d *Dialer) place(ctx context.Context, hops []hop) (leave func(), err error) {
	key := where(hops)
	d.mu.Lock()
	slots := d.places[key]
	if slots == nil {
		slots = make(chan struct{}, placeLimit)
		d.places[key] = slots
	}
	d.mu.Unlock()
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// connect opens a connection to the last of hops: TCP, or a channel through the
// bastions before it. via is the bastion it goes through, if it came that far.
func (d *Dialer) connect(ctx context.Context, hops []hop) (raw net.Conn, via *client, f *failure) {
	h := hops[len(hops)-1]
	if len(hops) == 1 {
		dialer := net.Dialer{Timeout: d.opts.Timeouts.Connect}
		raw, err := dialer.DialContext(ctx, "tcp", h.addr())
		if err != nil {
			return nil, nil, connectFailure(err, d.opts.Timeouts.Connect)
		}
		return raw, nil, nil
	}
	b := d.bastion(hops[:len(hops)-1])
	via, err := b.client(ctx)
	if err != nil {
		return nil, nil, &failure{stage: transport.StageBastion, err: err}
	}
	leave, err := b.pace(ctx)
	if err != nil {
		return nil, via, &failure{stage: transport.StageConnect, err: err}
	}
	defer leave()
	t, err := openTunnel(ctx, via, h, d.opts.Timeouts.Connect)
	if err == nil {
		return t, via, nil
	}
	var refused *ssh.OpenChannelError
	if !errors.As(err, &refused) {
		return nil, via, &failure{stage: transport.StageConnect, err: err, hint: "is the host up, and does its firewall let the bastion in?"}
	}
	if refused.Reason == ssh.Prohibited {
		return nil, via, &failure{stage: transport.StageBastion, err: b.forbids()}
	}
	return nil, via, &failure{
		stage: transport.StageConnect,
		err:   fmt.Errorf("the bastion could not connect: %q", refused.Message),
		hint:  "is the host up, and does sshd listen on that port?",
	}
}

// connectFailure explains why TCP could not connect.
func connectFailure(err error, timeout time.Duration) *failure {
	f := &failure{stage: transport.StageConnect, err: err}
	var op *net.OpError
	if errors.As(err, &op) {
		f.err = op.Err
	}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns) && dns.IsNotFound:
		f.err = fmt.Errorf("the name %s does not resolve", dns.Name)
		f.hint = "set address to the host's IP address"
	case errors.As(err, &op) && op.Timeout():
		f.err = fmt.Errorf("no connection within %v: %w", timeout, transport.ErrTooLong)
		f.hint = "is the host up, and is it reached through a bastion (via)?"
	case errors.Is(err, syscall.ECONNREFUSED):
		f.err = syscall.ECONNREFUSED
		f.hint = "does sshd run there, on that port?"
	case errors.Is(err, syscall.ECONNRESET):
		f.again = true
	}
	return f
}
