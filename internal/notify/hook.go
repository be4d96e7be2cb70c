package notify

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// hook is a receiver that is told by an HTTP request.
type hook struct {
	url    *url.URL
	secret string // that signs; "" for Slack
	body   func(*Message) ([]byte, error)
	client *http.Client
}

func newHook(kind string, u *url.URL, secret string, config *tls.Config) *hook {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.TLSClientConfig, transport.DisableKeepAlives = config, true
	h := &hook{url: u, secret: secret, body: webhookBody, client: &http.Client{
		Transport: transport,
		// What is sent is for this address: another one would get it, too.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
	if kind == "slack" {
		h.body = slackBody
	}
	return h
}

// send makes one request. Errors have neither its address nor what the other side says,
// which may be the address.
func (h *hook) send(ctx context.Context, m *Message) error {
	body, err := h.body(m)
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url.String(), bytes.NewReader(body))
	if err != nil {
		return errors.New("its address can't be used")
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("User-Agent", "muster")
	if h.secret != "" {
		req.Header.Set("Muster-Delivery", m.ID)
		req.Header.Set("Muster-Signature", signature(h.secret, time.Now(), body))
	}
	res, err := h.client.Do(req)
	if err != nil {
		var outer *url.Error
		if errors.As(err, &outer) {
			err = outer.Err // without the address
		}
		return &attemptError{err: fmt.Errorf("%s: %w", h.url.Host, err), again: true}
	}
	defer res.Body.Close()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10) // nobody reads it
	if res.StatusCode >= 200 && res.StatusCode < 300 {
		return nil
	}
	e := &attemptError{err: fmt.Errorf("%s answers %d (%s)", h.url.Host, res.StatusCode, http.StatusText(res.StatusCode))}
	e.again = res.StatusCode >= 500 || res.StatusCode == http.StatusTooManyRequests || res.StatusCode == http.StatusRequestTimeout
	if seconds, err := strconv.Atoi(res.Header.Get("Retry-After")); err == nil && seconds > 0 {
		e.after = time.Duration(min(seconds, 3600)) * time.Second
	}
	return e
}

// signature is the header by which a receiver knows who sent a body, and when: the HMAC
// of the moment, in seconds since 1970, a point, and the body.
func signature(key string, at time.Time, body []byte) string {
	mac := hmac.New(sha256.New, []byte(key))
	fmt.Fprintf(mac, "%d.", at.Unix())
	mac.Write(body)
	return fmt.Sprintf("t=%d,v1=%s", at.Unix(), hex.EncodeToString(mac.Sum(nil)))
}

func webhookBody(m *Message) ([]byte, error) {
	return json.Marshal(struct {
		Type   string `json:"type"`
		Format string `json:"format"`
		*Message
		Summary string `json:"summary"`
	}{"muster.drift", "1.0", m, m.summary()})
}

// slackLimit is how many changes a message in a chat lists.
const slackLimit = 20

func slackBody(m *Message) ([]byte, error) {
	var b strings.Builder
	b.WriteString("*muster:* " + m.summary() + " in " + quoted([]part{{m.Project, true}}) + "\n")
	for i := range m.Changes {
		if i == slackLimit {
			b.WriteString(moreChanges(len(m.Changes)-slackLimit+m.LeftOut) + ".\n")
			break
		}
		b.WriteString("• " + quoted(m.Changes[i].parts()) + "\n")
	}
	b.WriteString(m.standing())
	return json.Marshal(map[string]any{"text": b.String(), "unfurl_links": false, "unfurl_media": false})
}
