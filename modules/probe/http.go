package probe

import (
	"context"
	"crypto/tls"
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
)

// HTTPCheck is a request that the host makes, and what its answer has to be.
//
// It is tried once; give the task a retry block to try it more often. Where
// the answer is right already nothing is pending; and while anything before it
// is, it isn't asked.
type HTTPCheck struct {
	// The address to ask, http or https.
	URL string `arg:"url,key,required"`
	// The request's method.
	Method string `arg:"method" default:"GET"`
	// Headers of the request.
	Headers map[string]string `arg:"headers"`
	// The body of the request.
	Body *host.Content `arg:"body"`
	// The status codes that are right.
	Status []int `arg:"status" default:"[200]"`
	// A text that the answer has to contain.
	Contains string `arg:"contains"`
	// The certificates to trust instead of the host's own, as PEM.
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
	requestLimit = 10 * time.Second
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
	for _, s := range c.Status {
		if s < 100 || s > 599 {
			errs = append(errs, modules.ArgError{Arg: "status", Summary: "Wrong value", Detail: fmt.Sprintf("%d is no status code.", s)})
		}
	}
	if c.CA != "" && !x509.NewCertPool().AppendCertsFromPEM([]byte(c.CA)) {
		errs = append(errs, modules.ArgError{Arg: "ca", Summary: "Wrong value", Detail: `"ca" holds no certificate in PEM form.`})
	}
	return errs
}

// Plan asks once.
func (c *HTTPCheck) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	var body []byte
	if c.Body != nil {
		var err error
		if body, err = v.Body(ctx, *c.Body, bodyLimit); err != nil {
			return modules.Plan{}, err
		}
	}
	ask := func(ctx context.Context) (any, error) {
		r, err := c.ask(ctx, string(body))
		if err != nil {
			return nil, err
		}
		return r, nil
	}
	ch := &check{Target: c.URL, Looks: c, apply: func(ctx context.Context, _ *host.Host) (any, error) { return ask(ctx) }}
	return plan(ch, func() (any, error) { return ask(ctx) })
}

// ask makes the request, and returns an error where the answer isn't right.
func (c *HTTPCheck) ask(ctx context.Context, body string) (*Response, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, requestLimit, fmt.Errorf("no answer within %s", requestLimit))
	defer cancel()
	method := c.Method
	if method == "" {
		method = http.MethodGet
	}
	req, err := http.NewRequestWithContext(ctx, method, c.URL, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	for name, value := range c.Headers {
		req.Header.Set(name, value)
		if strings.EqualFold(name, "Host") {
			req.Host = value
		}
	}
	client := c.client()
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
	want := c.Status
	if len(want) == 0 {
		want = []int{http.StatusOK}
	}
	if !slices.Contains(want, r.Status) {
		return nil, fmt.Errorf("the answer is %s, not %s", resp.Status, strings.Trim(fmt.Sprint(want), "[]"))
	}
	if !strings.Contains(r.Body, c.Contains) {
		return nil, fmt.Errorf("the answer doesn't contain %q", c.Contains)
	}
	return r, nil
}

// client follows redirects, to another host without the headers that the
// playbook gave: they may hold credentials.
func (c *HTTPCheck) client() *http.Client {
	transport := &http.Transport{DisableKeepAlives: true, Proxy: nil}
	if c.Insecure || c.CA != "" {
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: c.Insecure}
		if c.CA != "" {
			transport.TLSClientConfig.RootCAs = x509.NewCertPool()
			transport.TLSClientConfig.RootCAs.AppendCertsFromPEM([]byte(c.CA))
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return errors.New("more than ten redirects")
		}
		if req.URL.Host != via[0].URL.Host {
			for name := range c.Headers {
				req.Header.Del(name)
			}
		}
		return nil
	}}
}
