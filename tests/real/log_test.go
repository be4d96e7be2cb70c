package real

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"strings"
	"testing"
	"time"
)

// signer makes certificates.
type signer struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  string
}

func newSigner(t *testing.T, name string) *signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	s := &signer{t: t, key: key}
	s.cert = &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, s.cert, s.cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	s.pem = string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return s
}

// issue returns a certificate for a name, valid until then, and its key.
func (s *signer) issue(name string, until time.Time) (certificate, key string) {
	s.t.Helper()
	own, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		s.t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name},
		NotBefore: time.Now().Add(-24 * time.Hour), NotAfter: until, KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, s.cert, &own.PublicKey, s.key)
	if err != nil {
		s.t.Fatal(err)
	}
	secret, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		s.t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}))
}

// receiver is an rsyslog of its own on log1 that takes syslog over TLS.
type receiver struct{ t *testing.T }

const receiverHost = "log1"

// shows has the receiver show another certificate.
func (r receiver) shows(certificate, key string) {
	r.t.Helper()
	on(r.t, receiverHost, "mkdir -p /srv/receiver && cat >/srv/receiver/own.pem <<'END'\n"+certificate+"END\ncat >/srv/receiver/own.key <<'END'\n"+key+"END")
	r.starts()
}

func (r receiver) starts() {
	r.t.Helper()
	on(r.t, receiverHost, `cat >/srv/receiver/rsyslog.conf <<'END'
global(workDirectory="/srv/receiver" DefaultNetstreamDriverCAFile="/srv/receiver/own.pem" DefaultNetstreamDriverCertFile="/srv/receiver/own.pem" DefaultNetstreamDriverKeyFile="/srv/receiver/own.key")
module(load="imtcp" StreamDriver.Name="ossl" StreamDriver.Mode="1" StreamDriver.AuthMode="anon")
input(type="imtcp" port="6514")
action(type="omfile" file="/srv/receiver/all.log")
END
		systemctl stop receiver 2>/dev/null; systemctl reset-failed receiver 2>/dev/null
		systemd-run -q --unit receiver rsyslogd -n -f /srv/receiver/rsyslog.conf -i /run/receiver.pid
		timeout 20 sh -c 'until ss -ltn | grep -q :6514; do sleep 0.05; done'`)
}

// stops has the receiver away, and waits until senders have noticed: syslog over TCP has no
// answer, and what is sent into a connection that is closed is lost.
func (r receiver) stops(senders ...string) {
	r.t.Helper()
	on(r.t, receiverHost, "systemctl stop receiver")
	for _, host := range senders {
		on(r.t, host, `n=$(grep -c "suspended (module" /var/log/syslog)
			timeout 60 sh -c 'until test $(grep -c "suspended (module" /var/log/syslog) -gt '$n'; do logger anyone; sleep 0.2; done'`)
	}
}

// has waits until that many different lines with a text have come. A sender tries once a
// minute at the latest.
func (r receiver) has(n int, text string) {
	r.t.Helper()
	count := "grep '" + text + "' /srv/receiver/all.log 2>/dev/null | grep -o 'line [0-9]* of .*' | sort -u | wc -l"
	if _, err := theLab.Host(receiverHost).Exec(r.t.Context(), "timeout", "120", "sh", "-c", fmt.Sprintf("until test $(%s) -ge %d; do sleep 0.2; done", count, n)); err != nil {
		r.t.Errorf("of %d lines with %q came %s: %v", n, text, on(r.t, receiverHost, count), err)
	}
}

// unshipped leaves the lab without what the role makes, before a test and after it.
func unshipped(t *testing.T) {
	t.Helper()
	clean := func() {
		for _, h := range theLab.Hosts() {
			_, _ = h.Exec(context.Background(), "sh", "-c", `systemctl stop receiver 2>/dev/null
				apt-get purge -qy rsyslog rsyslog-openssl >/dev/null 2>&1
				rm -rf /srv/receiver /etc/rsyslog.tls /var/spool/rsyslog /etc/rsyslog.d /run/muster/stamps/*rsyslog*`)
		}
	}
	clean()
	t.Cleanup(clean)
}

func TestLinesOfEveryHostComeToTheReceiverWhateverHappensToIt(t *testing.T) {
	command(t.Context(), t)
	unshipped(t)
	on(t, receiverHost, "apt-get install -qy --no-install-recommends rsyslog rsyslog-openssl >/dev/null 2>&1")
	ca, tomorrow := newSigner(t, "the CA"), time.Now().Add(24*time.Hour)
	logs := receiver{t}
	logs.shows(ca.issue("logs.example.com", tomorrow))

	signedBy := func(by *signer) string {
		return withRoles(t, `
play "logs" {
  hosts  = ["app", "db1", "log"]
  become = true
  role "log_shipping" {
    receiver = "10.0.1.51"
    name     = "logs.example.com"
    ca       = <<-EOT
`+by.pem+`EOT
  }
}
`)
	}
	site := signedBy(ca)
	if r := muster(t, "apply", site, "--yes"); r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if r := muster(t, "apply", site, "--yes"); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("the second run: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	senders := []string{"app1", "app2", "db1", receiverHost}
	for _, host := range senders {
		on(t, host, "logger 'line 1 of "+host+" in peace'")
	}
	logs.has(len(senders), "in peace")

	// The receiver is away for a while; one sender has more to say than it keeps in memory, and
	// is restarted, another has one line.
	logs.stops("app1", "db1")
	on(t, "app1", `seq 1 5000 | sed 's/.*/line & of app1 in the dark/' | logger
		timeout 60 sh -c 'until ls /var/spool/rsyslog | grep -q log-shipping; do sleep 0.1; done'
		systemctl restart rsyslog`)
	on(t, "db1", "logger 'line 1 of db1 in the dark'")
	logs.starts()
	logs.has(5001, "in the dark")

	// While it is away a run is made all the same, and says so.
	logs.stops("app2")
	on(t, "app2", "rm /etc/rsyslog.d/60-log-shipping.conf")
	if r := muster(t, "apply", site, "--yes", "--limit", "app2"); r.Code != 0 || !strings.Contains(r.Out, "nobody answers at 10.0.1.51:6514: Connection refused") {
		t.Errorf("without the receiver: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	on(t, "app2", "test -e /etc/rsyslog.d/60-log-shipping.conf; logger 'line 1 of app2 once more'")
	logs.starts()
	logs.has(1, "once more")

	// Somebody else's certificate in the playbook is an error of the plan, and comes to no host.
	before := on(t, "app2", "cat /etc/rsyslog.tls/ca.pem; systemctl show -P MainPID rsyslog")
	if r := muster(t, "apply", signedBy(newSigner(t, "nobody")), "--yes", "--limit", "app2"); r.Code != 4 || !strings.Contains(r.Out, "can't be trusted: ") {
		t.Errorf("with another's: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if after := on(t, "app2", "cat /etc/rsyslog.tls/ca.pem; systemctl show -P MainPID rsyslog"); after != before {
		t.Errorf("it has left\n%s\nnot\n%s", after, before)
	}

	// Another certificate of the same signer is as good.
	logs.stops("app2")
	logs.shows(ca.issue("logs.example.com", tomorrow))
	on(t, "app2", "logger 'line 1 of app2 renewed'")
	logs.has(1, "renewed")

	// Who can't be trusted is told nothing, the run says why, and the lines wait.
	logs.stops("app2")
	n := 0
	for name, c := range map[string]struct {
		by    *signer
		name  string
		until time.Time
		says  []string
	}{
		"another's": {ca, "elsewhere.example.com", tomorrow, []string{"hostname mismatch", "CN = elsewhere.example.com", "wanted: the name logs.example.com"}},
		"expired":   {ca, "logs.example.com", time.Now().Add(-time.Hour), []string{"certificate has expired", "CN = logs.example.com", "notAfter="}},
		"foreign":   {newSigner(t, "a stranger"), "logs.example.com", tomorrow, []string{"unable to get local issuer certificate", "CN = logs.example.com", "a stranger"}},
	} {
		logs.shows(c.by.issue(c.name, c.until))
		n++
		on(t, "app2", fmt.Sprintf("logger 'line %d of app2 kept back'", n))
		r := muster(t, "plan", site, "--limit", "app2")
		for _, want := range c.says {
			if r.Code != 4 || !strings.Contains(r.Out+r.Err, want) {
				t.Errorf("%s: %q isn't said: exit code %d\n%s%s", name, want, r.Code, r.Out, r.Err)
			}
		}
	}
	if told := on(t, receiverHost, "grep -c 'kept back' /srv/receiver/all.log || true"); told != "0" {
		t.Errorf("%s lines were told to somebody who isn't trusted", told)
	}
	logs.shows(ca.issue("logs.example.com", tomorrow))
	logs.has(n, "kept back")
}
