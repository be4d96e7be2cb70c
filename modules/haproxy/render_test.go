package haproxy

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"flag"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/tools/txtar"

	"muster/modules"
)

var update = flag.Bool("update", false, "write what is rendered into the cases")

// renderCases are files of what tasks declare (task), and either what is rendered of it
// (haproxy.cfg) or what is wrong with it (error).
func renderCases(t *testing.T) map[string]*txtar.Archive {
	t.Helper()
	files, err := filepath.Glob("testdata/render/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	cases := map[string]*txtar.Archive{}
	for _, f := range files {
		a, err := txtar.ParseFile(f)
		if err != nil {
			t.Fatal(err)
		}
		cases[f] = a
	}
	return cases
}

func section(a *txtar.Archive, name string) (string, bool) {
	for _, f := range a.Files {
		if f.Name == name {
			return string(f.Data), true
		}
	}
	return "", false
}

func TestRender(t *testing.T) {
	for file, a := range renderCases(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			task, _ := section(a, "task")
			c, errs := decode(t, argsOf(t, task))
			var b strings.Builder
			for _, e := range errs {
				fmt.Fprintln(&b, e.Error())
				if e.Hint != "" {
					fmt.Fprintln(&b, "    "+e.Hint)
				}
			}
			name, got := "error", b.String()
			if len(errs) == 0 {
				name, got = "haproxy.cfg", c.render().text
			}
			if *update {
				a.Files = append(a.Files[:1:1], txtar.File{Name: name, Data: []byte(got)})
				if err := os.WriteFile(file, txtar.Format(a), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, _ := section(a, name)
			if d := cmp.Diff(want, got); d != "" {
				t.Fatalf("%s (-want +got):\n%s", name, d)
			}
			if name == "haproxy.cfg" {
				t.Run("taken", func(t *testing.T) { accepted(t, got) })
			}
		})
	}
}

// accepted holds a configuration against HAProxy itself. Where there is none it is
// skipped, so that it has to be done on the host of the cases.
func accepted(t testing.TB, text string) {
	t.Helper()
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("there is no haproxy here")
	}
	dir := t.TempDir()
	for _, f := range []string{"certs/site.pem", "ca.pem"} {
		write(t, filepath.Join(dir, f), certificate(t))
	}
	crl := filepath.Join(dir, "crl.pem")
	write(t, crl, revoked(t))
	write(t, filepath.Join(dir, "crt-list"), []byte(filepath.Join(dir, "certs/site.pem")+" www.example.com\n"))
	write(t, filepath.Join(dir, "503.http"), []byte("HTTP/1.0 503 Service Unavailable\r\nContent-Type: text/plain\r\n\r\nlater\n"))
	dh, err := os.ReadFile("testdata/dh.pem")
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "dh.pem"), dh)
	cfg := filepath.Join(dir, "haproxy.cfg")
	write(t, cfg, []byte(strings.ReplaceAll(text, "$ROOT", dir)))
	if out, err := exec.Command(program, "-c", "-dW", "-f", cfg).CombinedOutput(); err != nil {
		t.Errorf("haproxy -c: %v\n%s\n%s", err, out, text)
	}
}

func write(t testing.TB, path string, data []byte) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

var authority = sync.OnceValues(func() (*ecdsa.PrivateKey, *x509.Certificate) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "www.example.com"}, DNSNames: []string{"www.example.com"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign, SubjectKeyId: []byte{1},
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, key.Public(), key)
	if err != nil {
		panic(err)
	}
	if cert, err = x509.ParseCertificate(der); err != nil {
		panic(err)
	}
	return key, cert
})

// certificate is one with its key.
func certificate(t testing.TB) []byte {
	key, cert := authority()
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

func revoked(t testing.TB) []byte {
	key, cert := authority()
	der, err := x509.CreateRevocationList(rand.Reader, &x509.RevocationList{Number: big.NewInt(1), ThisUpdate: time.Now(), NextUpdate: time.Now().Add(time.Hour)}, cert, key)
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "X509 CRL", Bytes: der})
}

// TestEveryArgumentIsAccepted finds arguments that no case has.
func TestEveryArgumentIsAccepted(t *testing.T) {
	missing := map[string]bool{}
	var all func(typ reflect.Type)
	all = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct {
			return
		}
		for i := range typ.NumField() {
			if f := typ.Field(i); f.Anonymous || f.Tag.Get("arg") != "" {
				if !f.Anonymous {
					missing[typ.Name()+"."+f.Name] = true
				}
				all(f.Type)
			}
		}
	}
	all(reflect.TypeFor[Config]())
	var seen func(v reflect.Value)
	seen = func(v reflect.Value) {
		switch v.Kind() {
		case reflect.Pointer:
			if !v.IsNil() {
				seen(v.Elem())
			}
		case reflect.Slice:
			for i := range v.Len() {
				seen(v.Index(i))
			}
		case reflect.Map:
			for _, k := range v.MapKeys() {
				seen(v.MapIndex(k))
			}
		case reflect.Struct:
			for i := range v.NumField() {
				if f := v.Type().Field(i); !v.Field(i).IsZero() && f.IsExported() {
					delete(missing, v.Type().Name()+"."+f.Name)
					seen(v.Field(i))
				}
			}
		}
	}
	for _, a := range renderCases(t) {
		if _, ok := section(a, "haproxy.cfg"); ok {
			task, _ := section(a, "task")
			c, _ := decode(t, argsOf(t, task))
			seen(reflect.ValueOf(*c))
		}
	}
	for name := range missing {
		t.Errorf("%s is in no case", name)
	}
}

// TestLinesLeadToTheirArguments holds each line to be of an argument that it shows.
func TestLinesLeadToTheirArguments(t *testing.T) {
	task := `
global { log = ["/dev/log local0", "10.0.0.9 local1"] }
frontend "web" {
  bind { address = ":80" }
  bind { address = ":443" }
  acl = { api = ["path_beg /api", "hdr(host) api.example.com"], bad = "src 10.9.0.0/16" }
  raw = "# first\nid 7"
  http_request = ["deny if bad", "set-header A b"]
  use_backend { 
    backend = "app" 
    when = "api" 
  }
}
backend "app" {
  health { 
    path = "/health" 
    interval = "1s"
  }
  servers "a" { address = "10.0.0.1:80" }
}
raw = ["resolvers dns\n  nameserver a 10.0.0.2:53", "userlist u\n  user x insecure-password y\n"]
`
	c, errs := decode(t, argsOf(t, task))
	if len(errs) > 0 {
		t.Fatal(errs)
	}
	r := c.render()
	lines := strings.Split(strings.TrimSuffix(r.text, "\n"), "\n")
	if len(lines) != len(r.paths) {
		t.Fatalf("%d lines, %d paths", len(lines), len(r.paths))
	}
	var b strings.Builder
	for i, line := range lines {
		arg, path := r.at(i + 1)
		fmt.Fprintf(&b, "%s | %s\n", strings.TrimSpace(line), arg+path)
	}
	want := `global | global
log /dev/log local0 | global.log[0]
log 10.0.0.9 local1 | global.log[1]
 | 
frontend web | frontend["web"]
bind :80 | frontend["web"].bind[0]
bind :443 | frontend["web"].bind[1]
acl api path_beg /api | frontend["web"].acl["api"][0]
acl api hdr(host) api.example.com | frontend["web"].acl["api"][1]
acl bad src 10.9.0.0/16 | frontend["web"].acl["bad"]
# first | frontend["web"].raw
id 7 | frontend["web"].raw
http-request deny if bad | frontend["web"].http_request[0]
http-request set-header A b | frontend["web"].http_request[1]
use_backend app if api | frontend["web"].use_backend[0]
 | 
backend app | backend["app"]
option httpchk | backend["app"].health
http-check send meth GET uri /health | backend["app"].health
default-server inter 1s | backend["app"].health
server a 10.0.0.1:80 check | backend["app"].servers["a"]
 | 
resolvers dns | raw[0]
nameserver a 10.0.0.2:53 | raw[0]
 | 
userlist u | raw[1]
user x insecure-password y | raw[1]
`
	if d := cmp.Diff(want, b.String()); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
	if arg, path := r.at(0); arg+path != "" {
		t.Error("line 0 has an argument")
	}
	if arg, path := r.at(1000); arg+path != "" {
		t.Error("a line behind the last has an argument")
	}
	if again := c.render(); !bytes.Equal([]byte(again.text), []byte(r.text)) {
		t.Error("rendered twice, it isn't the same")
	}
}

func TestTimesAreExact(t *testing.T) {
	for in, want := range map[string]string{
		"0s": "0s", "1ms": "1ms", "1500ms": "1500ms", "1.5s": "1500ms", "5s": "5s", "90s": "90s", "60s": "1m", "1h30m": "90m", "24h": "1d", "7d": "7d", "0.5ms": "500us", "1m1ms": "60001ms",
	} {
		var d modules.Duration
		if err := d.UnmarshalText([]byte(in)); err != nil {
			t.Fatal(err)
		}
		if got := hatime(d); got != want {
			t.Errorf("%s is %s, not %s", in, got, want)
		}
	}
}

// TestQuotedWordsAreReadAsTheyAre has HAProxy open files whose names are hard to write.
func TestQuotedWordsAreReadAsTheyAre(t *testing.T) {
	if _, err := exec.LookPath("haproxy"); err != nil {
		t.Skip("there is no haproxy here")
	}
	dir := t.TempDir()
	second := modules.Duration(time.Second)
	c := &Config{
		Defaults: &Defaults{Proxy: Proxy{Mode: "http", ErrorFiles: map[string]string{}, Timeout: &Timeout{Connect: &second, Client: &second, Server: &second}}},
		Listen:   map[string]Listen{"web": {Binds: Binds{Bind: []Bind{{Address: "127.0.0.1:8080"}}}}},
	}
	for i, name := range []string{"it's", `say "x"`, "a #b", "$HOME", "${HOME}", `back\\slash\\`, "a\tb", "''", "'", `"`, "é", `\n\x41`, "{ x }", `'\''`, "%[x]"} {
		path := filepath.Join(dir, name)
		write(t, path, []byte("HTTP/1.0 503 Service Unavailable\r\n\r\n"))
		c.Defaults.ErrorFiles[[]string{"200", "400", "401", "403", "404", "405", "407", "408", "410", "413", "425", "429", "500", "501", "502", "503"}[i]] = path
	}
	accepted(t, c.render().text)
}
