package probe

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"muster/host"
	"muster/modules"
	"muster/modules/web"
)

// HTTPCheck is a request that the host makes, and what its answer has to be.
//
// It is tried once; give the task a retry block to try it more often. Where
// the answer is right already nothing is pending; and while anything before it
// is, it isn't asked.
type HTTPCheck struct {
	// The address to ask, http or https.
	URL string `arg:"url,key,required"`
	// The request's method. Only GET, HEAD and OPTIONS are tried while planning:
	// others may have an effect.
	Method string `arg:"method" default:"GET"`
	// Headers of the request.
	Headers map[string]string `arg:"headers"`
	// The body of the request.
	Body *host.Content `arg:"body"`
	// The status code that is right, or a list of them. A string may hold a
	// range ("200-299") or a class ("2xx").
	Status any `arg:"status" means:"200"`
	// A text that the answer has to contain.
	Contains string `arg:"contains"`
	// The certificates to trust instead of the host's own: as PEM, or the
	// absolute path of a file on the host.
	CA string `arg:"ca"`
	// Accept any certificate.
	Insecure bool `arg:"insecure" default:"false"`
}

// Response is what an http_check offers as output.
type Response struct {
	// The status code of the answer.
	Status int `json:"status"`
	// The answer's body, up to 1 MiB of it.
	Body string `json:"body"`
}

const (
	planLimit    = 3 * time.Second  // for an answer while planning
	requestLimit = 30 * time.Second // for an answer, where the task has no timeout
	bodyLimit    = 1 << 20
)

// Check refuses what is no address, and certificates that can't be read.
func (c *HTTPCheck) Check(unknown func(string) bool) []modules.ArgError {
	var errs []modules.ArgError
	if !unknown("url") {
		u, err := url.Parse(c.URL)
		if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
			errs = append(errs, modules.ArgError{Arg: "url", Summary: "Wrong value", Detail: fmt.Sprintf("%q is no address of a web server: it begins with http:// or https://.", c.URL)})
		}
	}
	if _, err := statuses(c.Status); err != nil && !unknown("status") {
		errs = append(errs, modules.ArgError{Arg: "status", Summary: "Wrong value", Detail: strings.ToUpper(err.Error()[:1]) + err.Error()[1:] + "."})
	}
	if c.CA != "" && !strings.HasPrefix(c.CA, "/") && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		errs = append(errs, modules.ArgError{Arg: "ca", Summary: "Wrong value", Detail: `"ca" is neither a certificate in PEM form nor an absolute path.`})
	}
	return errs
}

// Plan asks once, unless asking may have an effect.
func (c *HTTPCheck) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var body []byte
	if c.Body != nil {
		var err error
		if body, err = v.Body(ctx, *c.Body, bodyLimit); err != nil {
			return modules.Plan{}, err
		}
	}
	want, err := statuses(c.Status)
	if err != nil {
		return modules.Plan{}, err
	}
	ask := func(ctx context.Context, limit time.Duration) (any, error) {
		r, err := c.ask(ctx, limit, string(body), want)
		if err != nil {
			return nil, err
		}
		return r, nil
	}
	target := c.URL
	if u, err := url.Parse(c.URL); err == nil {
		target = u.Redacted()
	}
	ch := &check{Target: target, Looks: c, apply: func(ctx context.Context, _ *host.Host) (any, error) {
		limit := requestLimit
		if at, ok := ctx.Deadline(); ok {
			limit = time.Until(at)
		}
		r, err := ask(ctx, limit)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", target, err)
		}
		return r, nil
	}}
	if !c.safe() {
		ch.Impact = "asked when its turn comes"
		return modules.Plan{Changes: []host.Change{ch}}, nil
	}
	return plan(ch, func() (any, error) { return ask(ctx, planLimit) })
}

func (c *HTTPCheck) method() string {
	if c.Method == "" {
		return http.MethodGet
	}
	return strings.ToUpper(c.Method)
}

// safe reports whether the request has no effect on the server (RFC 9110, 9.2.1).
func (c *HTTPCheck) safe() bool {
	return slices.Contains([]string{http.MethodGet, http.MethodHead, http.MethodOptions}, c.method())
}

// ask makes the request, and returns an error where the answer isn't right.
func (c *HTTPCheck) ask(ctx context.Context, limit time.Duration, body string, want []statusRange) (*Response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer within %s", limit.Round(time.Millisecond)))
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, c.method(), c.URL, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range c.Headers {
		req.Header.Set(name, value)
		if strings.EqualFold(name, "Host") {
			req.Host = value
		}
	}
	client, err := web.Client(web.Trust{CA: c.CA, Insecure: c.Insecure}, c.Headers)
	if err != nil {
		return nil, err
	}
	defer client.CloseIdleConnections()
	resp, err := client.Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		var u *url.Error
		if errors.As(err, &u) {
			err = u.Err // the address stands before it already
		}
		return nil, err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, bodyLimit))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	r := &Response{Status: resp.StatusCode, Body: strings.ToValidUTF8(string(data), string(utf8.RuneError))}
	if !slices.ContainsFunc(want, func(s statusRange) bool { return s.from <= r.Status && r.Status <= s.to }) {
		return nil, r.said(fmt.Errorf("the answer is %s, not %s", resp.Status, strings.Trim(fmt.Sprint(want), "[]")))
	}
	if !strings.Contains(r.Body, c.Contains) {
		return nil, r.said(fmt.Errorf("the answer, %s, doesn't contain %q", resp.Status, c.Contains))
	}
	return r, nil
}

// bodyBegin is how many characters of an answer's body are told of one that is wrong.
const bodyBegin = 300

// said adds the beginning of the answer's body to what is wrong with it.
func (r *Response) said(err error) error {
	text := strings.TrimSpace(r.Body)
	if text == "" {
		return err
	}
	if chars := []rune(text); len(chars) > bodyBegin {
		text = string(chars[:bodyBegin]) + "…"
	}
	return &host.SaidError{Err: err, Said: text}
}
