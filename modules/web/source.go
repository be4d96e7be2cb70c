package web

import (
	"context"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
)

// Source is a file of a web server, and how a host asks for it: what the kinds that get one
// have among their arguments, under these names.
type Source struct {
	URL      string            // "url"
	Checksum string            // "checksum": "sha256:…", "sha512:…", or the address of a file of sums
	Headers  map[string]string // "headers"
	CA       string            // "ca"
	Insecure bool              // "insecure"
	Proxy    string            // "proxy": an address, "none", or "" for what the task's environment says
}

// Wanted is what tells one version of a file from another: its sum, or where there is none
// its size and the time of its last change.
type Wanted struct {
	Sum      string    `json:"sum,omitempty"` // SHA-256 or SHA-512, by its length; lowercase hex
	Size     int64     `json:"size,omitempty"`
	Modified time.Time `json:"modified,omitzero"`
}

var sumForm = regexp.MustCompile(`^(?:sha256:([0-9a-fA-F]{64})|sha512:([0-9a-fA-F]{128}))$`)

// Check refuses what is no address, no checksum, no certificate and no proxy.
func (s Source) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	fail := func(arg, format string, a ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Summary: "Wrong value", Detail: fmt.Sprintf(format, a...)})
		}
	}
	if !isAddress(s.URL) {
		fail("url", "%q is no address of a web server: it begins with http:// or https://.", redacted(s.URL))
	}
	switch algorithm, _, named := strings.Cut(s.Checksum, ":"); {
	case s.Checksum == "" || sumForm.MatchString(s.Checksum) || isAddress(s.Checksum):
	case named && algorithm == "sha256":
		fail("checksum", `%q is no SHA-256 sum, which has 64 hexadecimal digits.`, s.Checksum)
	case named && algorithm == "sha512":
		fail("checksum", `%q is no SHA-512 sum, which has 128 hexadecimal digits.`, s.Checksum)
	default:
		fail("checksum", `%q is no checksum: it takes "sha256:" and 64 hexadecimal digits, "sha512:" and 128, or the address of a file of such sums.`, redacted(s.Checksum))
	}
	if s.CA != "" && !strings.HasPrefix(s.CA, "/") && !x509.NewCertPool().AppendCertsFromPEM([]byte(s.CA)) {
		fail("ca", `"ca" is neither a certificate in PEM form nor an absolute path.`)
	}
	if s.Proxy != "" && s.Proxy != "none" {
		if u, err := url.Parse(s.Proxy); err != nil || u.Host == "" || !proxyScheme(u.Scheme) {
			fail("proxy", `%q is no proxy: it takes an address that begins with http://, https:// or socks5://, or "none".`, redacted(s.Proxy))
		}
	}
	for name, value := range s.Headers {
		if name == "" || strings.ContainsAny(name, " \t\r\n:") || strings.ContainsAny(value, "\r\n") {
			fail("headers", `The header %q can't be sent: a name has no space and no colon, and a value is one line.`, name)
		}
	}
	return errs
}

func isAddress(text string) bool {
	u, err := url.Parse(text)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// redacted is an address without its password.
func redacted(text string) string {
	if u, err := url.Parse(text); err == nil {
		return u.Redacted()
	}
	return "the address"
}

// Name is the address as it may be shown.
func (s Source) Name() string { return redacted(s.URL) }

// Want finds out which version the file is to be of. It asks the server, unless a sum is given.
func (s Source) Want(ctx context.Context, v *host.View) (Wanted, error) {
	if s.Checksum != "" {
		sum, err := s.sum(ctx, v)
		return Wanted{Sum: sum}, err
	}
	there, err := host.Once(v, "download "+s.URL, func() (told, error) { return s.head(ctx) })
	if err != nil {
		return Wanted{}, fmt.Errorf("asking %s: %w", s.Name(), err)
	}
	if there.modified.IsZero() || there.size < 0 {
		return Wanted{}, errors.New(s.Name() + " doesn't say how large it is and when it was changed last, so that nobody could tell whether the host has it: give its checksum")
	}
	return Wanted{Size: there.size, Modified: there.modified}, nil
}

// hash is the function that the sum is one of.
func (w Wanted) hash() hash.Hash {
	if len(w.Sum) == 2*sha512.Size {
		return sha512.New()
	}
	return sha256.New()
}

// is reports whether the file at a path on the host has the sum.
func (w Wanted) is(v *host.View, path string) (now string, same bool, err error) {
	if len(w.Sum) == 2*sha512.Size {
		now, err = v.SumBy(path, "SHA-512", sha512.New)
	} else {
		now, err = v.Sum(path)
	}
	return now, now == w.Sum, err
}

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
func (s Source) ask(ctx context.Context, method, address string, from int64, validator string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return nil, err
	}
	own, _ := url.Parse(s.URL)
	if address == s.URL || own != nil && req.URL.Host == own.Host && req.URL.Scheme == own.Scheme {
		for name, value := range s.Headers {
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
	client, err := Client(Trust{CA: s.CA, Insecure: s.Insecure, Proxy: proxy(ctx, s.Proxy)}, s.Headers)
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
func (s Source) head(ctx context.Context) (told, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, askLimit, fmt.Errorf("no answer within %s", askLimit))
	defer cancel()
	resp, err := s.ask(ctx, http.MethodHead, s.URL, 0, "")
	if err == nil && (resp.StatusCode == http.StatusMethodNotAllowed || resp.StatusCode == http.StatusNotImplemented || resp.StatusCode == http.StatusForbidden) {
		resp.Body.Close()
		resp, err = s.ask(ctx, http.MethodGet, s.URL, 0, "")
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
func (s Source) sum(ctx context.Context, v *host.View) (string, error) {
	if m := sumForm.FindStringSubmatch(s.Checksum); m != nil {
		return strings.ToLower(m[1] + m[2]), nil
	}
	at := redacted(s.Checksum)
	text, err := host.Once(v, "sums "+s.Checksum, func() (string, error) {
		ctx, cancel := context.WithTimeoutCause(ctx, askLimit, fmt.Errorf("no answer within %s", askLimit))
		defer cancel()
		resp, err := s.ask(ctx, http.MethodGet, s.Checksum, 0, "")
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
	u, err := url.Parse(s.URL)
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
