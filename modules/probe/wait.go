package probe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"muster/host"
	"muster/modules"
)

// Wait is a point that is passed once a server listens, or a file has appeared.
//
// It waits until a port or a path of the host is in a state, for the task's
// timeout at most, or five minutes where none is given. Where it
// is so already, it costs nothing; and while anything before it is pending, it
// isn't looked at.
type Wait struct {
	// A TCP port.
	Port *int `arg:"port"`
	// The host name or address of the port, as the host sees it.
	Address string `arg:"address" default:"127.0.0.1"`
	// A file or directory, an absolute path.
	Path string `arg:"path"`
	// What is waited for: of a port open or closed, of a path exists or absent.
	State string `arg:"state" oneof:"open closed exists absent" means:"open, or exists"`

	resolver *net.Resolver // nil: the host's own
}

const (
	waitLimit = 5 * time.Minute
	waitPause = 100 * time.Millisecond
	dialLimit = 2 * time.Second
)

// Check wants a port or a path, and a state that it can have.
func (w *Wait) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, summary, detail string) {
		errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: detail})
	}
	port, path := w.Port != nil || unknown("port"), w.Path != "" || unknown("path")
	switch {
	case port && path:
		fail("path", "Conflicting arguments", `Wait for a "port" or for a "path", not for both: two tasks do that.`)
	case !port && !path:
		fail("", "Missing argument", `"wait" needs a "port" or a "path".`)
	case port && (w.State == "exists" || w.State == "absent"):
		fail("state", "Wrong value", `A port is "open" or "closed".`)
	case path && (w.State == "open" || w.State == "closed"):
		fail("state", "Wrong value", `A path "exists" or is "absent".`)
	}
	if w.Port != nil && (*w.Port < 1 || *w.Port > 65535) {
		fail("port", "Wrong value", "A port is a number from 1 to 65535.")
	}
	if w.Path != "" && !filepath.IsAbs(w.Path) {
		fail("path", "Wrong value", fmt.Sprintf("%q is no absolute path on the host.", w.Path))
	}
	return errs
}

// Plan looks once.
func (w *Wait) Plan(ctx context.Context, _ *host.View) (modules.Plan, error) {
	c := &check{Target: w.target(), Looks: w, apply: w.wait}
	return plan(c, func() (any, error) { return nil, w.look(ctx) })
}

func (w *Wait) target() string {
	if w.Port == nil {
		return w.Path
	}
	return "port " + w.place()
}

func (w *Wait) place() string {
	address := w.Address
	if address == "" {
		address = "127.0.0.1"
	}
	return net.JoinHostPort(address, strconv.Itoa(*w.Port))
}

// look returns nil where it is as it should be, else what is the case.
func (w *Wait) look(ctx context.Context) error {
	if w.Port == nil {
		_, err := os.Lstat(w.Path)
		there := err == nil
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		switch {
		case w.State == "absent" && there:
			return errors.New("it is still there")
		case w.State != "absent" && !there:
			return errors.New("it isn't there")
		}
		return nil
	}
	dial, cancel := context.WithTimeout(ctx, dialLimit)
	defer cancel()
	conn, err := (&net.Dialer{Resolver: w.resolver}).DialContext(dial, "tcp", w.place())
	if err == nil {
		_ = conn.Close()
	}
	var dns *net.DNSError
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx) // stopped: nothing is known
	case err != nil && over(ctx):
		return context.DeadlineExceeded
	case w.State == "closed" && errors.As(err, &dns) && !dns.IsNotFound:
		return err // the name may stand for something that listens
	case w.State == "closed" && err == nil:
		return errors.New("it is still open")
	case w.State != "closed":
		return err
	}
	return nil
}

// over reports whether the deadline has passed: a dialer sees that a moment
// before the context says so.
func over(ctx context.Context) bool {
	end, ok := ctx.Deadline()
	return ok && !time.Now().Before(end)
}

// wait looks until it is as it should be, or time is up.
func (w *Wait) wait(ctx context.Context, _ *host.Host) (any, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, waitLimit, fmt.Errorf("waited for %s", waitLimit))
	defer cancel()
	for {
		err := w.look(ctx)
		if err == nil {
			return nil, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%s: %w: %w", w.target(), context.Cause(ctx), err)
		case <-time.After(waitPause):
		}
	}
}
