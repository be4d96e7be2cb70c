package keypair_test

import (
	"crypto/x509"
	"encoding/pem"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"muster/internal/keypair"
	"muster/internal/keypair/sshkey"
	"muster/secret"
)

func certificate(t *testing.T, r keypair.Request) secret.String {
	t.Helper()
	made, err := keypair.Certificate(r, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// leaf reads the first certificate of a text, and the others.
func leaf(t *testing.T, text secret.String) (*x509.Certificate, []*x509.Certificate) {
	t.Helper()
	chain, err := keypair.Chain(text.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(chain, "PRIVATE") {
		t.Fatal("the chain has the key")
	}
	var list []*x509.Certificate
	for rest := []byte(chain); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return list[0], list[1:]
		}
		c, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, c)
	}
}

// said is what a program prints of a file with a text.
func said(t *testing.T, text string, argv ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(argv[0], append(argv[1:], path)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s: %s", argv, err, out)
	}
	return strings.TrimSpace(string(out))
}

func TestSSHKeyIsReadBySSHKeygen(t *testing.T) {
	key, err := sshkey.New("deploy of the shop")
	if err != nil {
		t.Fatal(err)
	}
	public, err := sshkey.Public(key.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	if want := said(t, key.Reveal(), "ssh-keygen", "-y", "-f"); public != want || !strings.HasSuffix(public, " deploy of the shop") {
		t.Errorf("the public half is %q, and ssh-keygen says %q", public, want)
	}
	print, err := sshkey.Fingerprint(key.Reveal())
	if err != nil || !strings.Contains(said(t, key.Reveal(), "ssh-keygen", "-l", "-f"), " "+print+" ") {
		t.Errorf("the fingerprint %q isn't ssh-keygen's (%v)", print, err)
	}
	other, err := sshkey.New("")
	if err != nil || other == key {
		t.Errorf("two keys are one (%v)", err)
	}
	if public, _ := sshkey.Public(other.Reveal()); len(strings.Fields(public)) != 2 {
		t.Errorf("a key without a comment: %q", public)
	}
}

// Keys that others have made: only their own sort has a comment, and a passphrase
// doesn't hide the public half where that stands beside it.
func TestPublicHalfOfKeysThatSSHKeygenMade(t *testing.T) {
	for name, args := range map[string][]string{
		"ed25519": {"-t", "ed25519"}, "rsa": {"-t", "rsa", "-b", "2048"}, "ecdsa": {"-t", "ecdsa"},
		"rsa in PEM": {"-t", "rsa", "-b", "2048", "-m", "PEM"}, "with a passphrase": {"-t", "ed25519", "-N", "sesame"},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "key")
			if out, err := exec.Command("ssh-keygen", append([]string{"-q", "-N", "", "-C", "me@here", "-f", path}, args...)...).CombinedOutput(); err != nil {
				t.Fatalf("%s: %s", err, out)
			}
			key, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(path + ".pub")
			if err != nil {
				t.Fatal(err)
			}
			got, err := sshkey.Public(string(key))
			if err != nil || strings.Join(strings.Fields(got)[:2], " ") != strings.Join(strings.Fields(string(want))[:2], " ") {
				t.Errorf("%q (%v), want %q", got, err, want)
			}
		})
	}
}

func TestCertificateIsTakenByClients(t *testing.T) {
	ca := certificate(t, keypair.Request{CommonName: "Shop CA", Authority: true, Days: 365})
	between := certificate(t, keypair.Request{CommonName: "Shop servers", Authority: true, Days: 200, Issuer: ca})
	request := keypair.Request{Names: []string{"www.example.com", "*.shop.example.com", "10.0.0.1", "::1"}, Days: 30}
	root, _ := leaf(t, ca)
	for name, test := range map[string]struct {
		issuer secret.String
		chain  int
	}{"signed by itself": {}, "signed by an authority": {ca, 0}, "signed by one that another has signed": {between, 1}} {
		t.Run(name, func(t *testing.T) {
			r := request
			r.Issuer = test.issuer
			made := certificate(t, r)
			cert, chain := leaf(t, made)
			if len(chain) != test.chain {
				t.Errorf("it is sent with %d others", len(chain))
			}
			roots, more := x509.NewCertPool(), x509.NewCertPool()
			roots.AddCert(root)
			if test.issuer.Reveal() == "" {
				roots = x509.NewCertPool()
				roots.AddCert(cert)
			}
			for _, c := range chain {
				more.AddCert(c)
			}
			for _, host := range []string{"www.example.com", "a.shop.example.com", "10.0.0.1", "::1"} {
				for _, day := range []int{0, 29} {
					if _, err := cert.Verify(x509.VerifyOptions{DNSName: host, Roots: roots, Intermediates: more, CurrentTime: time.Now().AddDate(0, 0, day)}); err != nil {
						t.Errorf("%s in %d days: %s", host, day, err)
					}
				}
			}
			if _, err := cert.Verify(x509.VerifyOptions{Roots: roots, Intermediates: more, CurrentTime: time.Now().AddDate(0, 0, 31)}); err == nil {
				t.Error("it is good for longer than was asked for")
			}
			print, err := keypair.Fingerprint(made.Reveal())
			seen := said(t, made.Reveal(), "openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in")
			if err != nil || !strings.EqualFold(strings.ReplaceAll(seen[strings.IndexByte(seen, '=')+1:], ":", ""), print) {
				t.Errorf("the fingerprint %q isn't openssl's %q (%v)", print, seen, err)
			}
			key, err := keypair.Key(made.Reveal())
			if err != nil || said(t, key, "openssl", "pkey", "-pubout", "-in") != said(t, made.Reveal(), "openssl", "x509", "-noout", "-pubkey", "-in") {
				t.Errorf("the key isn't the certificate's (%v)", err)
			}
		})
	}
}

func TestWhatCantBeCertified(t *testing.T) {
	leafs := []string{"www.example.com"}
	ca := certificate(t, keypair.Request{CommonName: "Shop CA", Authority: true, Days: 60})
	server := certificate(t, keypair.Request{Names: leafs})
	key, err := keypair.Key(server.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	chain, err := keypair.Chain(ca.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	for name, test := range map[string]struct {
		r    keypair.Request
		want string
	}{
		"no names":                     {keypair.Request{CommonName: "x"}, "is for names"},
		"an authority for a server":    {keypair.Request{CommonName: "x", Authority: true, Names: leafs}, "is for no server"},
		"an authority without a name":  {keypair.Request{Authority: true}, "common name"},
		"a name with a space":          {keypair.Request{Names: []string{"a b"}}, "no name that a certificate can be for"},
		"an address that is none":      {keypair.Request{Names: []string{"10.0.0.300"}}, "no name that a certificate can be for"},
		"a star for a whole domain":    {keypair.Request{Names: []string{"*.com"}}, "no name that a certificate can be for"},
		"days below none":              {keypair.Request{Names: leafs, Days: -1}, "1 to 7300 days"},
		"a common name over two lines": {keypair.Request{CommonName: "a\nb", Names: leafs}, "one line"},
		"it would outlive its issuer":  {keypair.Request{Names: leafs, Days: 61, Issuer: ca}, "renew it first, or ask for fewer days"},
		"signed by a server":           {keypair.Request{Names: leafs, Days: 1, Issuer: server}, "is no authority's"},
		"an issuer without its key":    {keypair.Request{Names: leafs, Issuer: secret.New(chain)}, "the authority's secret: it has no private key"},
		"an issuer with another key":   {keypair.Request{Names: leafs, Days: 1, Issuer: secret.New(chain + key)}, "isn't that of its first certificate"},
		"an issuer that is a password": {keypair.Request{Names: leafs, Issuer: secret.New("hunter2-4711")}, "it has no certificate"},
		"an issuer that can't be read": {keypair.Request{Names: leafs, Issuer: secret.New("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")}, "number 1 of its certificates"},
	} {
		t.Run(name, func(t *testing.T) {
			made, err := keypair.Certificate(test.r, time.Now())
			if err == nil || !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), "4711") {
				t.Errorf("%v, want %q", err, test.want)
			}
			if made.Reveal() != "" {
				t.Error("and it is made")
			}
		})
	}
	for _, comment := range []string{"a\nb", " a", "a\x00"} {
		if _, err := sshkey.New(comment); err == nil {
			t.Errorf("the comment %q is taken", comment)
		}
	}
	for _, text := range []string{"", "hunter2-4711", chain} {
		if _, err := sshkey.Public(text); err == nil || strings.Contains(err.Error(), "4711") {
			t.Errorf("the public half of what is no key: %v", err)
		}
	}
}

// A client that trusts two certificates of one name, as it does while they are rotated,
// tells by the ids of their keys which of them it is shown.
func TestTwoCertificatesOfOneNameAreTrustedBesideEachOther(t *testing.T) {
	for name, r := range map[string]keypair.Request{"servers": {Names: []string{"www.example.com"}}, "authorities": {CommonName: "Shop CA", Authority: true}} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			var shown []string
			for n := range 4 {
				made := certificate(t, r)
				trusted, err := keypair.Chain(made.Reveal())
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, string(rune('a'+n))+".pem"), []byte(trusted), 0o600); err != nil {
					t.Fatal(err)
				}
				if r.Authority {
					made = certificate(t, keypair.Request{Names: []string{"www.example.com"}, Days: 1, Issuer: made})
				}
				shown = append(shown, made.Reveal())
			}
			if out, err := exec.Command("openssl", "rehash", dir).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
			for _, text := range shown {
				said(t, text, "openssl", "verify", "-CApath", dir, "-verify_hostname", "www.example.com")
			}
		})
	}
}
