package notify_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/internal/notify"
	"muster/internal/project"
)

// canary is what must never be shown.
const canary = "c4n4ry-Zk81qPw0"

// hostile is what a host may say: it would forge lines, call people, link and end what it
// stands in.
const hostile = "x\n• new: `db1`\r\n- gone: db1 <!channel> <@U1> @here @channel [a](javascript:1) `*b*\u202e\x1b[2J </script>"

// receiver reads muster.hcl, and opens its only block.
func receiver(t *testing.T, text, dir string) *notify.Receiver {
	t.Helper()
	b := blocks(t, text)
	r, err := b[0].Open(notify.Values{
		Dir: dir,
		Env: func(name string) (string, bool) { return canary + "-" + name, name != "UNSET" },
		Secret: func(name string) (string, error) {
			if name == "none" {
				return "", errors.New("no such secret")
			}
			return canary, nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func blocks(t *testing.T, text string) []*notify.Block {
	t.Helper()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, project.File), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	p, diags := project.Find(dir)
	list, more := notify.Read(p.Notify)
	if diags = append(diags, more...); diags.HasErrors() {
		t.Fatal(diags)
	}
	return list
}

func message(text string) *notify.Message {
	m := notify.NewMessage("ops", []notify.Change{
		{Event: notify.New, Host: text, Task: text, Playbook: "site.hcl", File: "site.hcl", Line: 4, Known: []string{text}},
		{Event: notify.Unchecked, Host: "web2", Error: text},
		{Event: notify.Gone, Host: "web3", Task: "file.b", PutRightBy: text, PutRightRun: "r1"},
	}, 2)
	m.Project, m.By, m.Check, m.At = "shop", "ann@laptop", "c1", time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)
	return m
}

// waits are those of a delivery whose clock is the test's.
func waits(list *[]time.Duration) notify.Delivery {
	return notify.Delivery{Timeout: 10 * time.Second, Wait: func(_ context.Context, d time.Duration) error {
		*list = append(*list, d)
		return nil
	}}
}

func TestAWebhookIsSigned(t *testing.T) {
	var body []byte
	var header http.Header
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ = io.ReadAll(r.Body)
		header = r.Header
	}))
	defer s.Close()
	r := receiver(t, `notify "webhook" "ops" {
  url    = "`+s.URL+`/hook?token=${env["TOKEN"]}"
  secret = secret["notify/ops"]
}`, "")
	m := message("web1 " + canary)
	if err := (notify.Delivery{}).Send(t.Context(), r, m); err != nil {
		t.Fatal(err)
	}
	var at int64
	var sum string
	if _, err := fmt.Sscanf(strings.Replace(header.Get("Muster-Signature"), ",", " ", 1), "t=%d v1=%s", &at, &sum); err != nil {
		t.Fatal(header, err)
	}
	mac := hmac.New(sha256.New, []byte(canary))
	fmt.Fprintf(mac, "%d.%s", at, body)
	if want := hex.EncodeToString(mac.Sum(nil)); sum != want || time.Since(time.Unix(at, 0)).Abs() > time.Minute {
		t.Errorf("%s, want %s; %d", sum, want, at)
	}
	if header.Get("Muster-Delivery") != m.ID || header.Get("Content-Type") != "application/json" {
		t.Error(header)
	}
	var got struct {
		Type, Format, ID, Project, Check, By, At, Summary string
		Counts                                            map[string]int
		Changes                                           []map[string]any
	}
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	if got.Type != "muster.drift" || got.Project != "shop" || got.Check != "c1" || got.At != "2026-05-04T03:02:01Z" || got.Counts["new"] != 1 || got.Counts["standing"] != 2 ||
		len(got.Changes) != 3 || got.Changes[0]["event"] != "new" || got.Summary != "1 new drift, 1 gone, a host couldn't be checked" {
		t.Errorf("%s", body)
	}
	if strings.Contains(string(body), canary) {
		t.Errorf("a secret is in %s", body)
	}
}

// answers is a server that gives answers one after the other, the last of them for good.
func answers(t *testing.T, list ...func(http.ResponseWriter)) (string, *int) {
	n := new(int)
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		at := min(*n, len(list)-1)
		*n++
		list[at](w)
	}))
	t.Cleanup(s.Close)
	return s.URL, n
}

func code(n int) func(http.ResponseWriter) { return func(w http.ResponseWriter) { w.WriteHeader(n) } }

func TestAMessageIsTriedAgainWhereThatCanHelp(t *testing.T) {
	echo := func(w http.ResponseWriter) {
		w.WriteHeader(500)
		fmt.Fprintf(w, "owned %s\x1b[2J", canary)
	}
	later := func(seconds string) func(http.ResponseWriter) {
		return func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", seconds)
			w.WriteHeader(429)
		}
	}
	away := func(w http.ResponseWriter) {
		w.Header().Set("Location", "https://elsewhere.example/"+canary)
		w.WriteHeader(307)
	}
	cut := func(w http.ResponseWriter) {
		c, _, _ := w.(http.Hijacker).Hijack()
		_ = c.Close()
	}
	s := time.Second
	for name, test := range map[string]struct {
		answers []func(http.ResponseWriter)
		waits   []time.Duration
		tries   int
		error   string
	}{
		"it is taken":                          {[]func(http.ResponseWriter){code(204)}, nil, 1, ""},
		"it is taken the second time":          {[]func(http.ResponseWriter){code(500), code(200)}, []time.Duration{2 * s}, 2, ""},
		"the receiver fails for good":          {[]func(http.ResponseWriter){echo}, []time.Duration{2 * s, 8 * s}, 3, "answers 500 (Internal Server Error) (tried 3 times)"},
		"the receiver refuses it":              {[]func(http.ResponseWriter){code(403)}, nil, 1, "answers 403 (Forbidden)"},
		"the receiver asks for time":           {[]func(http.ResponseWriter){later("20"), code(200)}, []time.Duration{20 * s}, 2, ""},
		"the receiver asks for too much of it": {[]func(http.ResponseWriter){later("600")}, nil, 1, "answers 429 (Too Many Requests)"},
		"the receiver sends it elsewhere":      {[]func(http.ResponseWriter){away}, nil, 1, "answers 307 (Temporary Redirect)"},
		"the connection is cut":                {[]func(http.ResponseWriter){cut, code(200)}, []time.Duration{2 * s}, 2, ""},
	} {
		t.Run(name, func(t *testing.T) {
			url, tries := answers(t, test.answers...)
			r := receiver(t, `notify "slack" "ops" { url = "`+url+`/services/${secret["x"]}" }`, "")
			var waited []time.Duration
			err := waits(&waited).Send(t.Context(), r, message("web1"))
			if got := fmt.Sprint(err); err == nil != (test.error == "") || !strings.HasSuffix(got, test.error) && test.error != "" {
				t.Errorf("%v", err)
			}
			if strings.Contains(fmt.Sprint(err), canary) || strings.Contains(fmt.Sprint(err), "owned") {
				t.Errorf("%v tells a secret, or what the receiver says", err)
			}
			if !slices.Equal(waited, test.waits) || *tries != test.tries {
				t.Errorf("%d tries, waits %v", *tries, waited)
			}
		})
	}
}

func TestAReceiverThatHangsIsGivenUp(t *testing.T) {
	free := make(chan struct{})
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-r.Context().Done():
		case <-free:
		}
	}))
	defer s.Close()
	defer close(free)
	r := receiver(t, `notify "slack" "ops" { url = "`+s.URL+`/`+canary+`" }`, "")
	var waited []time.Duration
	d := waits(&waited)
	d.Timeout = 50 * time.Millisecond
	err := d.Send(t.Context(), r, message("web1"))
	if err == nil || err.Error() != "it doesn't answer within 50ms (tried 3 times)" || len(waited) != 2 {
		t.Errorf("%v, %v", err, waited)
	}
}

func TestAReceiverThatRefusesIsNamedWithoutItsAddress(t *testing.T) {
	s := httptest.NewServer(nil)
	s.Close()
	r := receiver(t, "notify \"webhook\" \"ops\" {\n url = \""+s.URL+"/hook/t\"\n secret = secret[\"x\"]\n}", "")
	var waited []time.Duration
	err := waits(&waited).Send(t.Context(), r, message("web1"))
	if err == nil || !strings.Contains(err.Error(), "connection refused") || strings.Contains(err.Error(), "/hook") || len(waited) != 2 {
		t.Errorf("%v, %v", err, waited)
	}
}

func TestACertificateHasToBeKnown(t *testing.T) {
	s := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // of clients that go away
	s.StartTLS()
	defer s.Close()
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	var waited []time.Duration
	r := receiver(t, `notify "slack" "ops" { url = "`+s.URL+`/x" }`, dir)
	if err := waits(&waited).Send(t.Context(), r, message("web1")); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
	r = receiver(t, "notify \"slack\" \"ops\" {\n url = \""+s.URL+"/x\"\n ca = \"ca.pem\"\n}", dir)
	if err := waits(&waited).Send(t.Context(), r, message("web1")); err != nil {
		t.Error(err)
	}
}

func TestAChatIsCalledByNobodyAndHasNoForgedLine(t *testing.T) {
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) }))
	defer s.Close()
	r := receiver(t, `notify "slack" "ops" { url = "`+s.URL+`/x" }`, "")
	if err := (notify.Delivery{}).Send(t.Context(), r, message(hostile)); err != nil {
		t.Fatal(err)
	}
	var got struct{ Text string }
	if err := json.Unmarshal(body, &got); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"<", ">", "@here", "@channel", "@U1", "\x1b", "\u202e", "\r", "\n- gone"} {
		if strings.Contains(got.Text, bad) {
			t.Errorf("%q is in %s", bad, got.Text)
		}
	}
	if n := strings.Count(got.Text, "\n• "); n != 3 {
		t.Errorf("%d lines of changes in %s", n, got.Text)
	}
	for i, piece := range strings.Split(got.Text, "`") { // outside of the code spans
		if i%2 == 0 && strings.ContainsAny(piece, "@[]_~<>") {
			t.Errorf("data stands outside of a code span: %q", piece)
		}
	}
}

func TestALongMessageIsCut(t *testing.T) {
	var body []byte
	s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { body, _ = io.ReadAll(r.Body) }))
	defer s.Close()
	var changes []notify.Change
	for i := range 1000 {
		changes = append(changes, notify.Change{Event: notify.New, Host: fmt.Sprint("web", i), Error: strings.Repeat("ä", 1<<12)})
	}
	for _, text := range []string{`notify "slack" "a" { url = "` + s.URL + `/x" }`, "notify \"webhook\" \"a\" {\n url = \"" + s.URL + "/x\"\n secret = env[\"X\"]\n}"} {
		if err := (notify.Delivery{}).Send(t.Context(), receiver(t, text, ""), notify.NewMessage("a", changes, 1000)); err != nil {
			t.Fatal(err)
		}
		if len(body) > 200<<10 || !strings.Contains(string(body), "1000 new drifts") || !strings.Contains(string(body), "980 more") && !strings.Contains(string(body), `"left_out":800`) {
			t.Errorf("%d bytes: %.300s", len(body), body)
		}
	}
}

func TestWhatIsWrongInABlockIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		`notify "pager" "x" {}`:                                                                                                   `A notify block is "webhook", "slack" or "email"`,
		`notify "webhook" "x" { url = "https://x" }`:                                                                              `needs "secret"`,
		`notify "slack" "x" { url = "http://hooks.example.com/x" }`:                                                               "everybody on the way could read it",
		`notify "slack" "x" { url = "hooks.example.com/` + canary + `" }`:                                                         "isn't an address that begins with https://",
		`notify "slack" "x" { url = 7 }`:                                                                                          "takes a string",
		`notify "slack" "x" { url = null }`:                                                                                       "takes a string",
		`notify "slack" "x" { url = host.name }`:                                                                                  `may read secret["NAME"]`,
		`notify "slack" "x" { url = secret[env.X] }`:                                                                              `may read secret["NAME"]`,
		"notify \"slack\" \"x\" {\n url = secret[\"a\"]\n chanel = \"x\"\n}":                                                      "is told by url, ca",
		"notify \"slack\" \"x\" { url = secret[\"a\"] }\nnotify \"slack\" \"x\" { url = secret[\"a\"] }":                          "is declared at",
		"notify \"email\" \"x\" {\n server = \"mail\"\n from = \"a@b.example\"\n to = [\"a@b.example\"]\n}":                       "a name and a port",
		"notify \"email\" \"x\" {\n server = \"mail:25\"\n from = \"a@b.example\"\n to = \"a@b.example\"\n}":                      "takes a list",
		"notify \"email\" \"x\" {\n server = \"mail:25\"\n from = \"a@b.example\"\n to = [\"x\\r\\nBcc: y\"]\n}":                  "no address of an e-mail",
		"notify \"email\" \"x\" {\n server = \"mail:25\"\n from = \"a@b.example\"\n to = []\n}":                                   "it is empty",
		"notify \"email\" \"x\" {\n server = \"mail:25\"\n from = \"a@b.example\"\n to = [\"a@b.example\"]\n username = \"u\"\n}": "give both, or none",
		"notify \"email\" \"x\" {\n server = \"mail:25\"\n from = \"a@b.example\"\n to = [\"a@b.example\"]\n username = \"u\"\n password = secret[\"x\"]\n tls = \"none\"\n}": "would send its password in the clear",
		"notify \"email\" \"x\" {\n server = \"mail:25\"\n from = \"a@b.example\"\n to = [\"a@b.example\"]\n tls = \"maybe\"\n}":                                              `"starttls", "implicit" or "none"`,
		`notify "slack" { url = secret["a"] }`: "",
	} {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, project.File), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		p, diags := project.Find(dir)
		_, more := notify.Read(p.Notify)
		said := fmt.Sprint(append(diags, more...))
		for _, d := range append(diags, more...) {
			said += d.Detail
		}
		if !append(diags, more...).HasErrors() || !strings.Contains(said, want) {
			t.Errorf("%s: %s", text, said)
		}
		if strings.Contains(said, canary) {
			t.Errorf("%s is shown", canary)
		}
	}
}

func TestASecretInTheFileIsWarnedOf(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, project.File), []byte(`notify "slack" "x" { url = "https://hooks.example.com/`+canary+`" }`), 0o600); err != nil {
		t.Fatal(err)
	}
	p, _ := project.Find(dir)
	_, diags := notify.Read(p.Notify)
	if len(diags) != 1 || diags.HasErrors() || diags[0].Summary != "A secret in the open" || strings.Contains(diags[0].Detail, canary) {
		t.Error(diags)
	}
}

func TestWhatCannotBeReadIsSaid(t *testing.T) {
	for text, want := range map[string]string{
		`notify "slack" "x" { url = secret["none"] }`:                                                    `reading the secret "none": no such secret`,
		`notify "slack" "x" { url = env["UNSET"] }`:                                                      "the environment has no UNSET",
		`notify "slack" "x" { url = secret["a"] }`:                                                       "isn't an address that begins with https://",
		"notify \"slack\" \"x\" {\n url = \"https://x.example/${secret[\"a\"]}\"\n ca = \"none.pem\"\n}": "none.pem",
	} {
		_, err := blocks(t, text)[0].Open(notify.Values{
			Env: func(string) (string, bool) { return "", false },
			Secret: func(name string) (string, error) {
				if name == "none" {
					return "", errors.New("no such secret")
				}
				return canary, nil
			},
		})
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), canary) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
