package notify_test

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"math/big"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"muster/internal/notify"
)

// post is a server of e-mail, as far as one message is told to it.
type post struct {
	config   *tls.Config // nil: it knows no STARTTLS
	implicit bool
	refuse   []string // what it answers to recipients, one for each connection; "": it takes them
	hangs    bool

	mu    sync.Mutex
	heard []string // commands, with "TLS " before those that came encrypted
	mails []string
	n     int
}

// serve listens, and returns its address and the folder with its authority's ca.pem.
func (p *post) serve(t *testing.T) (address, dir string) {
	t.Helper()
	s := httptest.NewTLSServer(nil) // for its certificate, of 127.0.0.1 and example.com
	s.Close()
	dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if p.config != nil {
		p.config.Certificates = s.TLS.Certificates
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		_ = l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() {
				defer c.Close()
				p.talk(c)
			})
		}
	})
	return l.Addr().String(), dir
}

func (p *post) talk(c net.Conn) {
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	encrypted := ""
	if p.implicit {
		c, encrypted = tls.Server(c, p.config), "TLS "
	}
	p.mu.Lock()
	refuse := ""
	if len(p.refuse) > 0 {
		refuse = p.refuse[min(p.n, len(p.refuse)-1)]
	}
	p.n++
	p.mu.Unlock()
	r := bufio.NewReader(c)
	say := func(text string) { fmt.Fprintf(c, "%s\r\n", text) }
	if p.hangs {
		_, _ = io.Copy(io.Discard, r) // until the other side has gone
		return
	}
	say("220 mail.example.com ESMTP")
	for {
		line, err := r.ReadString('\n')
		if err != nil {
			return
		}
		line = strings.TrimSpace(line)
		p.mu.Lock()
		p.heard = append(p.heard, encrypted+line)
		p.mu.Unlock()
		switch word, _, _ := strings.Cut(strings.ToUpper(line), " "); word {
		case "EHLO":
			say("250-mail.example.com")
			if p.config != nil && encrypted == "" {
				say("250-STARTTLS")
			}
			say("250 AUTH PLAIN LOGIN")
		case "STARTTLS":
			say("220 go on")
			c, encrypted = tls.Server(c, p.config), "TLS "
			r = bufio.NewReader(c)
		case "AUTH":
			say("235 welcome")
		case "RCPT":
			if refuse != "" {
				say(refuse)
				continue
			}
			say("250 fine")
		case "DATA":
			say("354 go on")
			var text strings.Builder
			for {
				line, err := r.ReadString('\n')
				if err != nil {
					return
				}
				if line == ".\r\n" {
					break
				}
				text.WriteString(line)
			}
			p.mu.Lock()
			p.mails = append(p.mails, text.String())
			p.mu.Unlock()
			say("250 taken")
		case "QUIT":
			say("221 bye")
			return
		default:
			say("250 fine")
		}
	}
}

func (p *post) all() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.heard, "\n")
}

func emailTo(t *testing.T, address, dir, more string) *notify.Receiver {
	t.Helper()
	return receiver(t, "notify \"email\" \"ops\" {\n server = \""+address+"\"\n from = \"Muster <muster@example.com>\"\n to = [\"ops@example.com\", \"ann@example.com\"]\n ca = \"ca.pem\"\n"+more+"\n}", dir)
}

const login = " username = \"muster\"\n password = secret[\"x\"]\n"

func TestAnEMailGoesThroughSTARTTLS(t *testing.T) {
	for name, p := range map[string]*post{"starttls": {config: &tls.Config{}}, "implicit": {config: &tls.Config{}, implicit: true}} {
		t.Run(name, func(t *testing.T) {
			address, dir := p.serve(t)
			m := message(hostile + " " + canary)
			if err := (notify.Delivery{}).Send(t.Context(), emailTo(t, address, dir, login+"tls = \""+name+"\""), m); err != nil {
				t.Fatal(err)
			}
			auth := "TLS AUTH PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00muster\x00"+canary))
			heard := p.all()
			if !strings.Contains(heard, auth) || !strings.Contains(heard, "TLS RCPT TO:<ann@example.com>") {
				t.Error(heard)
			}
			if n := len(p.mails); n != 1 {
				t.Fatalf("%d e-mails", n)
			}
			got, err := mail.ReadMessage(strings.NewReader(p.mails[0]))
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(quotedprintable.NewReader(got.Body))
			if err != nil {
				t.Fatal(err)
			}
			subject, _ := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
			if subject != "muster: 1 new drift, 1 gone, a host couldn't be checked in shop" || got.Header.Get("Auto-Submitted") != "auto-generated" || got.Header.Get("Date") == "" ||
				got.Header.Get("Message-ID") != "<"+m.ID+"@example.com>" {
				t.Errorf("%q %v", subject, got.Header)
			}
			if n := strings.Count(string(body), "\n- "); n != 3 {
				t.Errorf("%d lines of changes in %s", n, body)
			}
			for _, bad := range []string{canary, "\x1b", "\u202e"} {
				if strings.Contains(string(body), bad) {
					t.Errorf("%q is in %s", bad, body)
				}
			}
		})
	}
}

func TestNoPasswordIsSentWithoutTLS(t *testing.T) {
	p := &post{}
	address, dir := p.serve(t)
	var waited []time.Duration
	err := waits(&waited).Send(t.Context(), emailTo(t, address, dir, login), message("web1"))
	if err == nil || !strings.Contains(err.Error(), "STARTTLS") || len(waited) > 0 {
		t.Errorf("%v, %v", err, waited)
	}
	if heard := p.all(); strings.Contains(heard, "AUTH") || strings.Contains(heard, "MAIL") || len(p.mails) > 0 {
		t.Error(heard)
	}
	// A relay of this machine that needs no login may be told in the clear, if asked for.
	if err := (notify.Delivery{}).Send(t.Context(), emailTo(t, address, dir, "tls = \"none\""), message("web1")); err != nil || len(p.mails) != 1 {
		t.Error(err)
	}
}

func TestAServerWithAnotherCertificateGetsNothing(t *testing.T) {
	p := &post{config: &tls.Config{}}
	address, dir := p.serve(t)
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), pemOfAnother(t), 0o600); err != nil {
		t.Fatal(err)
	}
	var waited []time.Duration
	err := waits(&waited).Send(t.Context(), emailTo(t, address, dir, login), message("web1"))
	if err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("%v, %v", err, waited)
	}
	if heard := p.all(); strings.Contains(heard, "AUTH") || strings.Contains(heard, "MAIL") {
		t.Error(heard)
	}
}

func TestAServerThatRefusesAnEMailForNowIsTriedAgain(t *testing.T) {
	for name, test := range map[string]struct {
		post  *post
		waits int
		error string
	}{
		"for now":          {&post{config: &tls.Config{}, refuse: []string{"451 later", ""}}, 1, ""},
		"for good":         {&post{config: &tls.Config{}, refuse: []string{"550 no such user " + canary}}, 0, `550 "no such user`},
		"for now, always":  {&post{config: &tls.Config{}, refuse: []string{"451 later\x1b[2J"}}, 2, `451 "later`},
		"it doesn't speak": {&post{hangs: true}, 2, "127.0.0.1"},
	} {
		t.Run(name, func(t *testing.T) {
			address, dir := test.post.serve(t)
			var waited []time.Duration
			d := waits(&waited)
			if test.post.hangs {
				d.Timeout = 50 * time.Millisecond
				test.error = ""
			}
			err := d.Send(t.Context(), emailTo(t, address, dir, login), message("web1"))
			wantError := test.error != "" || test.post.hangs
			if (err != nil) != wantError || len(waited) != test.waits || !strings.Contains(fmt.Sprint(err), test.error) || strings.Contains(fmt.Sprint(err), canary) {
				t.Errorf("%v, %v", err, waited)
			}
		})
	}
}

// pemOfAnother is a certificate that no server of these tests has.
func pemOfAnother(t *testing.T) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}, &x509.Certificate{SerialNumber: big.NewInt(1)}, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: raw})
}
