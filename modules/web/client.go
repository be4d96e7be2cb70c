// Package web has the kinds that get what web servers have, and the client that they ask with.
package web

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"strings"

	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{{Name: "download", New: func() modules.Module { return &Download{} }}}
}

// Trust is whom a client takes for the server that it asked for.
type Trust struct {
	// CA is certificates in PEM form, or the absolute path of a file with some; "": those
	// of the host.
	CA string
	// Insecure takes any certificate.
	Insecure bool
	// Proxy, if not nil, is the proxy that a request goes through; nil for none.
	Proxy func(*http.Request) (*url.URL, error)
}

// Client follows redirects: to another host, and from https to http, without the headers and
// the body that the playbook gave. They may hold credentials.
func Client(trust Trust, headers map[string]string) (*http.Client, error) {
	transport := &http.Transport{DisableKeepAlives: true, Proxy: trust.Proxy}
	if trust.Insecure || trust.CA != "" {
		transport.TLSClientConfig = &tls.Config{InsecureSkipVerify: trust.Insecure}
	}
	if trust.CA != "" {
		pem := []byte(trust.CA)
		if strings.HasPrefix(trust.CA, "/") {
			var err error
			if pem, err = os.ReadFile(trust.CA); err != nil {
				return nil, err
			}
		}
		transport.TLSClientConfig.RootCAs = x509.NewCertPool()
		if !transport.TLSClientConfig.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("%s holds no certificate in PEM form", trust.CA)
		}
	}
	return &http.Client{Transport: transport, CheckRedirect: func(req *http.Request, via []*http.Request) error {
		if len(via) >= 10 {
			return errors.New("more than ten redirects")
		}
		first := via[0].URL
		if req.URL.Host == first.Host && (req.URL.Scheme == first.Scheme || req.URL.Scheme == "https") {
			return nil
		}
		if req.Body != nil && req.Body != http.NoBody {
			return http.ErrUseLastResponse // the answer is the redirect itself
		}
		for name := range headers {
			req.Header.Del(name)
		}
		return nil
	}}, nil
}
