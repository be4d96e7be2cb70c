package web

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"muster/host"
)

// Get gets a file from a web server.
type Get struct {
	URL string `json:"url"` // without a password
	Wanted

	source Source
	write  *host.WriteFile
}

// Type is "file.get/1".
func (*Get) Type() string { return "file.get/1" }

// Interruptible says that it ends early when its context does.
func (*Get) Interruptible() {}

// Describe says where it comes from, and what is lost besides.
func (g *Get) Describe() host.Description { return g.write.Describe() }

// Effects is the file, of which nobody knows before what it will hold.
func (g *Get) Effects() []host.Effect {
	return []host.Effect{host.Open(host.Files, g.write.Path)}
}

// Want is where it comes from, and what it will be.
func (g *Get) Want() any {
	return struct {
		Get   Get
		Write any
	}{Get{URL: g.URL, Wanted: Wanted{Sum: g.Sum}}, g.write.Want()}
}

// Obstacle is why the file couldn't be written.
func (g *Get) Obstacle(v *host.View) error { return g.write.Obstacle(v) }

// Apply gets the file beside its place. One of which the transfer can't be taken up is
// begun anew.
func (g *Get) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	var result host.Result
	err := g.source.Fetch(ctx, g.Wanted, func(ctx context.Context, open Opener) (err error) {
		w := *g.write
		w.Body = open
		result, err = w.Apply(ctx, h)
		return err
	})
	return result, err
}

// Opener begins a transfer, and tells when the file was changed last; the zero time where it
// is known by its sum. The reader fails at its end where what came isn't what it should be.
type Opener func(ctx context.Context) (io.ReadCloser, time.Time, error)

// Fetch has a file of a version taken by what take does with its reader. That is called
// again, with a transfer from the start, where one was cut that can't be taken up.
func (s Source) Fetch(ctx context.Context, want Wanted, take func(ctx context.Context, open Opener) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	open := func(ctx context.Context) (io.ReadCloser, time.Time, error) {
		t := &transfer{ctx: ctx, source: s, want: want, hash: want.hash()}
		t.idle = time.AfterFunc(idleLimit, func() { cancel(fmt.Errorf("nothing came for %s", idleLimit)) })
		if err := t.open(); err != nil {
			t.idle.Stop()
			return nil, time.Time{}, err
		}
		if want.Sum != "" {
			return t, time.Time{}, nil
		}
		return t, t.modified, nil // by which it is known the next time
	}
	var err error
	for range tries {
		if err = take(ctx, open); !errors.Is(err, errAnew) {
			break
		}
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return fmt.Errorf("getting %s: %w", s.Name(), err)
	}
	return nil
}

// errAnew is that a transfer was cut and can't be taken up.
var errAnew = errors.New("the transfer was cut off")

// transfer reads a file from a server, and takes it up where it was cut.
type transfer struct {
	ctx       context.Context
	source    Source
	want      Wanted
	body      io.ReadCloser
	hash      hash.Hash
	idle      *time.Timer
	at, size  int64 // bytes; a size of -1 isn't known
	validator string
	modified  time.Time
	cuts      int
}

// open asks for the file from where it is.
func (t *transfer) open() error {
	resp, err := t.source.ask(t.ctx, http.MethodGet, t.source.URL, t.at, t.validator)
	if err != nil {
		return err
	}
	switch {
	case t.at == 0 && resp.StatusCode == http.StatusOK:
	case t.at > 0 && resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), "bytes "+strconv.FormatInt(t.at, 10)+"-"):
		t.body = resp.Body
		return nil
	case t.at > 0 && resp.StatusCode == http.StatusOK:
		resp.Body.Close()
		return errAnew
	default:
		resp.Body.Close()
		return fmt.Errorf("the answer is %s", resp.Status)
	}
	t.body, t.size = resp.Body, resp.ContentLength
	if t.validator = resp.Header.Get("ETag"); t.validator == "" || strings.HasPrefix(t.validator, "W/") {
		t.validator = resp.Header.Get("Last-Modified")
	}
	t.modified = toldBy(resp).modified
	if w := t.want; w.Sum == "" && (t.size != w.Size || !t.modified.Equal(w.Modified)) {
		return fmt.Errorf("the server has had another file since this was planned: %w", host.ErrMoved)
	}
	return nil
}

// Read reads on, over cuts.
func (t *transfer) Read(p []byte) (int, error) {
	n, err := t.body.Read(p)
	if n > 0 {
		t.idle.Reset(idleLimit)
		t.hash.Write(p[:n])
		t.at += int64(n)
	}
	switch {
	case err == nil || n > 0:
		return n, nil
	case t.ctx.Err() != nil:
		return 0, context.Cause(t.ctx)
	case err == io.EOF && (t.size < 0 || t.at == t.size):
		return 0, t.whole()
	}
	t.body.Close()
	if t.cuts++; t.cuts >= tries {
		return 0, fmt.Errorf("the transfer was cut off %d times, the last time behind %d of %d bytes: %w", t.cuts, t.at, t.size, err)
	}
	if t.validator == "" || t.at == 0 {
		return 0, errAnew
	}
	return 0, t.open()
}

// whole is io.EOF where what came is what it should be.
func (t *transfer) whole() error {
	if sum := hex.EncodeToString(t.hash.Sum(nil)); t.want.Sum != "" && sum != t.want.Sum {
		return fmt.Errorf("what came has the %s sum %s, not %s: what was there is left as it is", algorithm(sum), sum, t.want.Sum)
	}
	return io.EOF
}

// Close ends the transfer.
func (t *transfer) Close() error {
	t.idle.Stop()
	if t.body == nil {
		return nil
	}
	return t.body.Close()
}
