package docker

import (
	"bytes"
	"io"
	"net/http"
	"regexp"
	"strings"
)

// plainGateways makes answers of the daemon readable for the client: Docker before 23
// tells the gateway of an IPv6 subnet that it has chosen itself as "fd00::1/64", which the
// client refuses, and with it the whole list of networks.
type plainGateways struct{ http.RoundTripper }

var longGateway = regexp.MustCompile(`("Gateway":\s*"[0-9a-fA-F:.]+)/[0-9]+"`)

// RoundTrip makes a request.
func (p plainGateways) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := p.RoundTripper.RoundTrip(r)
	if err != nil || r.Method != http.MethodGet || !strings.Contains(r.URL.Path, "/networks") {
		return answer, err
	}
	body, err := io.ReadAll(answer.Body)
	_ = answer.Body.Close()
	if err != nil {
		return nil, err
	}
	body = longGateway.ReplaceAll(body, []byte(`$1"`))
	answer.Body, answer.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
	return answer, nil
}
