package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"muster/host"
)

const (
	askLimit  = 15 * time.Second // for an answer while planning
	sumsLimit = 1 << 20          // bytes of a file of sums
	idleLimit = time.Minute      // without a byte of a transfer
	tries     = 4                // of a transfer that is cut
)

// told is what a server says of a file.
type told struct {
	size     int64 // -1: it doesn't say
	modified time.Time
}

// ask makes a request, from a byte on.
func (d *Download) ask(ctx context.Context, method, address string, from int64, validator string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	own, _ := url.Parse(d.URL)
	if address == d.URL || own != nil && req.URL.Host == own.Host && req.URL.Scheme == own.Scheme {
		for name, value := range d.Headers {
			req.Header.Set(name, value)
			if strings.EqualFold(name, "Host") {
				req.Host = value
			}
		}
	}
	req.Header.Set("Accept-Encoding", "identity") // the file as it is
	if from > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", from))
		req.Header.Set("If-Range", validator)
	}
	client, err := Client(Trust{CA: d.CA, Insecure: d.Insecure}, d.Headers)
	if err != nil {
		return nil, err
	}
	resp, err := client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the address stands before it already
		}
	}
	return resp, err
}

// head asks what the server has, without getting it.
func (d *Download) head(ctx context.Context) (told, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askLimit, fmt.Errorf("no answer within %s", askLimit))
	defer cancel()
	resp, err := d.ask(ctx, http.MethodHead, d.URL, 0, "")
	if err == nil && (resp.StatusCode == http.StatusMethodNotAllowed || resp.StatusCode == http.StatusNotImplemented || resp.StatusCode == http.StatusForbidden) {
		resp.Body.Close()
		resp, err = d.ask(ctx, http.MethodGet, d.URL, 0, "")
	}
	if err != nil {
		return told{}, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return told{}, fmt.Errorf("the answer is %s", resp.Status)
	}
	return toldBy(resp), nil
}

func toldBy(resp *http.Response) told {
	t := told{size: resp.ContentLength}
	t.modified, _ = http.ParseTime(resp.Header.Get("Last-Modified"))
	return t
}

// sum is the checksum that the file has to have, in lowercase hex.
func (d *Download) sum(ctx context.Context, v *host.View) (string, error) {
	if m := sumForm.FindStringSubmatch(d.Checksum); m != nil {
		return strings.ToLower(m[1]), nil
	}
	at := redacted(d.Checksum)
	text, err := host.Once(v, "sums "+d.Checksum, func() (string, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, askLimit, fmt.Errorf("no answer within %s", askLimit))
		defer cancel()
		resp, err := d.ask(ctx, http.MethodGet, d.Checksum, 0, "")
		if err != nil {
			return "", err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			return "", fmt.Errorf("the answer is %s", resp.Status)
		}
		data, err := io.ReadAll(io.LimitReader(resp.Body, sumsLimit+1))
		if err == nil && len(data) > sumsLimit {
			err = fmt.Errorf("it has more than %d bytes", sumsLimit)
		}
		return string(data), err
	})
	if err != nil {
		return "", fmt.Errorf("reading the sums %s: %w", at, err)
	}
	u, err := url.Parse(d.URL)
	if err != nil {
		return "", err
	}
	name := u.Path[strings.LastIndexByte(u.Path, '/')+1:]
	sum, err := sumOf(text, name)
	if err != nil {
		return "", fmt.Errorf("the sums %s: %w", at, err)
	}
	return sum, nil
}

// Get gets a file from a web server.
type Get struct {
	URL      string    `json:"url"` // without a password
	Sum      string    `json:"sum,omitempty"`
	Size     int64     `json:"size,omitempty"`    // where there is no sum
	Modified time.Time `json:"modified,omitzero"` // likewise

	download *Download
	write    *host.WriteFile
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
	}{Get{URL: g.URL, Sum: g.Sum}, g.write.Want()}
}

// Obstacle is why the file couldn't be written.
func (g *Get) Obstacle(v *host.View) error { return g.write.Obstacle(v) }

// Apply gets the file beside its place. One of which the transfer can't be taken up is
// begun anew.
func (g *Get) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var result host.Result
	var err error
	for range tries {
		w := *g.write
		w.Body = func(ctx context.Context) (io.ReadCloser, time.Time, error) {
			t := &transfer{ctx: ctx, get: g, hash: sha256.New()}
			t.idle = time.AfterFunc(idleLimit, func() { cancel(fmt.Errorf("nothing came for %s", idleLimit)) })
			if err := t.open(); err != nil {
				t.idle.Stop()
				return nil, time.Time{}, err
			}
			if g.Sum != "" {
				return t, time.Time{}, nil
			}
			return t, t.modified, nil // by which it is known the next time
		}
		if result, err = w.Apply(ctx, h); !errors.Is(err, errAnew) {
			break
		}
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return result, fmt.Errorf("getting %s: %w", g.URL, err)
	}
	return result, nil
}

// errAnew is that a transfer was cut and can't be taken up.
var errAnew = errors.New("the transfer was cut off")

// transfer reads a file from a server, and takes it up where it was cut.
type transfer struct {
	ctx       context.Context
	get       *Get
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
	resp, err := t.get.download.ask(t.ctx, http.MethodGet, t.get.download.URL, t.at, t.validator)
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
	if g := t.get; g.Sum == "" && (t.size != g.Size || !t.modified.Equal(g.Modified)) {
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
	if sum := hex.EncodeToString(t.hash.Sum(nil)); t.get.Sum != "" && sum != t.get.Sum {
		return fmt.Errorf("what came has the SHA-256 sum %s, not %s: what was there is left as it is", sum, t.get.Sum)
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
