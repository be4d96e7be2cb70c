package canary

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"math/big"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/tests/await"
	"muster/tests/canary/scan"
	"muster/tests/lab"
	"muster/tests/operator"
	"muster/tests/program"
)

var theLab *operator.Lab

var hosts = []string{"lb1", "app1", "db1", "db2"}

func TestMain(m *testing.M) {
	operator.Main(m, lab.Options{ID: "canary", Hosts: hosts, Docker: []string{"app1"}}, func(l *operator.Lab) { theLab = l })
}

// pair is a certificate and its key.
func pair(t *testing.T) (certificate, key string) {
	t.Helper()
	made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	like := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"shop.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour)}
	cert, err := x509.CreateCertificate(rand.Reader, like, like, &made.PublicKey, made)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(made)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// looking is the scanner on a host.
type looking struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out bytes.Buffer
	err bytes.Buffer
}

// look has a host look at its processes, until end is called on what it returns.
func look(t *testing.T, scanner []byte, host string, values []scan.Value) *looking {
	t.Helper()
	const at = "/root/canary"
	put := theLab.Host(host).Command(t.Context(), "sh", "-c", "cat > "+at+".new && chmod 700 "+at+".new && mv "+at+".new "+at)
	put.Stdin = bytes.NewReader(scanner)
	if out, err := put.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	l := &looking{cmd: theLab.Host(host).Command(t.Context(), at)}
	l.cmd.Stdout, l.cmd.Stderr = &l.out, &l.err
	var err error
	if l.in, err = l.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	if err := l.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// The programs of packages are none of what a run leaves behind, and many.
	err = json.NewEncoder(l.in).Encode(map[string]any{"Values": values, "Roots": []string{"/", "/run", "/dev/shm", "/var/lib/docker"}, "Skip": []string{"/usr", "/proc", "/sys", at, "/var/cache/apt", "/var/lib/apt"}})
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// end has the host look at its files, and returns what it has found.
func (l *looking) end(t *testing.T) (hits []scan.Hit) {
	t.Helper()
	if err := l.in.Close(); err != nil {
		t.Error(err)
	}
	if err := l.cmd.Wait(); err != nil {
		t.Fatalf("%v: %s", err, l.err.String())
	}
	for dec := json.NewDecoder(&l.out); dec.More(); {
		var h scan.Hit
		if err := dec.Decode(&h); err != nil {
			t.Fatal(err)
		}
		hits = append(hits, h)
	}
	return hits
}

// mayHoldOn are the files of hosts, exactly, in which a value may stand: where a task puts it, or a
// server. "*" is the sum of a container's secrets.
func mayHoldOn() map[string]string {
	return map[string]string{
		"app1 /etc/shop.conf":                      "content",
		"app1 /etc/shadow":                         "hash",
		"app1 /var/lib/muster/secrets/box/*/token": "container",
		"app1 /root/.docker/config.json":           "registry",
		"db2 /var/lib/mysql/master.info":           "replication",
		"lb1 /etc/haproxy/haproxy.cfg":             "stats",
		"lb1 /var/lib/muster/haproxy/good.cfg":     "stats", // what HAProxy last took
		"lb1 /etc/haproxy/certs/site.pem":          "key",
	}
}

// mayStand reports whether what was found on a host was to be there.
func mayStand(host string, h scan.Hit) bool {
	for where, place := range mayHoldOn() {
		if ok, err := path.Match(where, host+" "+h.Where); err == nil && ok && h.Place == place {
			return true
		}
	}
	return false
}

func TestNoSecretIsLeftBehindOnRealHosts(t *testing.T) {
	theLab.Need(t)
	certificate, key := pair(t)
	keyLine := strings.Split(key, "\n")[2] // the first says what sort of key it is
	hash := "$6$canary$" + scan.Plain("hash").Text + scan.Plain("hash2").Text + scan.Plain("hash3").Text[:26]
	values := []scan.Value{{Place: "hash", Text: hash}, {Place: "key", Text: keyLine}}
	for _, place := range strings.Fields("content stdin fails container") {
		values = append(values, scan.Quoted(place))
	}
	for _, place := range strings.Fields("mysql mysql-local replication stats registry") {
		values = append(values, scan.Plain(place))
	}
	p := newProject(t, operator.Binary(t), "testdata/hosts", values...)
	p.wrap = func(cmd *exec.Cmd) *exec.Cmd {
		in := theLab.Lab.Command(t.Context(), cmd.Path, cmd.Args[1:]...)
		in.Dir, in.Env = cmd.Dir, append(cmd.Env, "HOME="+theLab.Home(), "MUSTER_IDENTITY="+p.path("home/.config/muster/identity"), "MUSTER_VAR_certificate="+certificate)
		return in
	}
	p.ends(0, key, "secret", "set", "key")
	inventory, err := os.ReadFile("../../inventory/lab.hcl")
	if err == nil {
		err = os.WriteFile(filepath.Join(p.path("site"), "hosts.hcl"), inventory, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	scanner, err := os.ReadFile(program.Static(t, "muster/tests/cmd/canary"))
	if err != nil {
		t.Fatal(err)
	}
	var all []*looking
	for _, host := range hosts {
		all = append(all, look(t, scanner, host, values))
	}
	for _, l := range all {
		await.Until(t, "the hosts look", func() bool { return strings.Contains(l.err.String(), "looking") })
	}

	p.ends(0, "", "plan", "site.hcl", "-v")
	p.ends(0, "", "apply", "site.hcl", "--yes", "--output", "json")
	p.ends(0, "", "apply", "site.hcl", "--yes", "-v")
	p.ends(0, "", "plan", "site.hcl", "--output", "json", "--save", p.path("site.plan"))
	p.ends(0, "", "history", "last", "-v")
	for i, l := range all {
		var hits []scan.Hit
		for _, h := range l.end(t) {
			if !mayStand(hosts[i], h) {
				hits = append(hits, h)
			}
		}
		p.take("on "+hosts[i], hits)
	}
	p.check()
	for where, place := range mayHoldOn() {
		host, file, _ := strings.Cut(where, " ")
		if mode := theLab.On(t, host, "stat -c %a "+file); !strings.HasSuffix(mode, "0") {
			t.Errorf("%s, with the value of %q, can be read by others: %s", where, place, mode)
		}
	}
}
