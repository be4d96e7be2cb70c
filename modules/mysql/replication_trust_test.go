package mysql

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/modules"
)

// signed returns a CA's certificate in PEM, and one for name that it has signed, in DER.
func signed(t *testing.T, name string) (ca, leaf []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	from, to := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	root := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "CA"}, NotBefore: from, NotAfter: to, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, root, root, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	server := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: from, NotAfter: to}
	if leaf, err = x509.CreateCertificate(rand.Reader, server, root, &key.PublicKey, key); err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), leaf
}

// What is against TLS is told by the plan, as far as it can be: with the file as an earlier task
// leaves it.
func TestWhatIsAgainstTLSIsAnErrorOfThePlan(t *testing.T) {
	const path = "/etc/mysql/ca.pem"
	ca, leaf := signed(t, "db1")
	other, _ := signed(t, "db1")
	_, elsewhere := signed(t, "db9")
	no := false
	for name, c := range map[string]struct {
		file  []byte // nil: there is none
		chain [][]byte
		any   bool // any name
		want  string
	}{
		"all is well":          {ca, [][]byte{leaf}, false, ""},
		"no file":              {nil, [][]byte{leaf}, false, "There is no /etc/mysql/ca.pem on this host"},
		"no certificate in it": {[]byte("none\n"), [][]byte{leaf}, false, "holds no certificate"},
		"another CA":           {other, [][]byte{leaf}, false, "isn't signed by whom /etc/mysql/ca.pem trusts"},
		"another name":         {append(append([]byte{}, ca...), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: elsewhere})...), [][]byte{elsewhere}, false, "for another name than db1"},
		"any name will do":     {pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: elsewhere}), [][]byte{elsewhere}, true, ""},
		"no TLS":               {ca, nil, false, "shows no certificate"},
	} {
		t.Run(name, func(t *testing.T) {
			h := host.New()
			effect := host.Gone(host.File(path))
			if c.file != nil {
				kept := h.Bodies.Keep(c.file, false)
				effect = host.Is(host.File(path), host.FileInfo{Type: host.Regular, Sum: kept.Sum, Size: kept.Size})
			}
			r := &Replication{Primary: "db1", TLS: &ReplicationTLS{CA: path}}
			if c.any {
				r.TLS.Verify = &no
			}
			p := &replicationPlanner{Replication: r, v: host.NewView(h, nil).Behind([]host.Effect{effect}), donor: DonorOutput{Chain: c.chain, Port: 3306}}
			mark, err := p.trusts(t.Context())
			var arg modules.ArgError
			switch {
			case c.want == "" && (err != nil || mark == ""):
				t.Errorf("%q, %v", mark, err)
			case c.want != "" && (!errors.As(err, &arg) || arg.Arg != "tls" || !strings.Contains(arg.Detail, c.want)):
				t.Errorf("%v, want %q", err, c.want)
			}
		})
	}
	p := &replicationPlanner{Replication: &Replication{TLS: &ReplicationTLS{CA: path}}, v: host.NewView(host.New(), nil).Behind([]host.Effect{host.Open(host.Files, path)})}
	if _, err := p.trusts(t.Context()); !errors.Is(err, host.ErrNotYet) {
		t.Errorf("a file that isn't known yet: %v", err)
	}
}
