package haproxy

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"
)

// issued makes a certificate, with its key, in PEM form; issued by another one, or itself.
func issued(t *testing.T, name string, until time.Time, by *x509.Certificate, byKey *ecdsa.PrivateKey) (*x509.Certificate, *ecdsa.PrivateKey, string, string) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(7), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotAfter: until, IsCA: true, BasicConstraintsValid: true}
	if by == nil {
		by, byKey = c, key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, by, &key.PublicKey, byKey)
	if err != nil {
		t.Fatal(err)
	}
	c, _ = x509.ParseCertificate(der)
	k, _ := x509.MarshalPKCS8PrivateKey(key)
	return c, key, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})), string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: k}))
}

// Key, chain and names are held against each other before any host is asked.
func TestCertificatesAreChecked(t *testing.T) {
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	later := now.AddDate(1, 0, 0)
	root, rootKey, rootPEM, _ := issued(t, "root.example", later, nil, nil)
	_, _, leaf, key := issued(t, "*.site.example", later, root, rootKey)
	_, _, expired, expiredKey := issued(t, "site.example", now.AddDate(0, 0, -1), nil, nil)
	_, _, other, otherKey := issued(t, "other.example", later, nil, nil)
	for name, test := range map[string]struct {
		c    Certificate
		want string // "" where nothing is wrong
	}{
		"all is right":                   {Certificate{leaf + rootPEM, key, []string{"www.site.example"}}, ""},
		"with comments between":          {Certificate{"bag attributes\n" + leaf, key, nil}, ""},
		"a name with a star":             {Certificate{leaf, key, []string{"*.site.example"}}, ""},
		"another's key":                  {Certificate{leaf, otherKey, nil}, ".key: Wrong key: it isn't the key of this certificate."},
		"no key":                         {Certificate{leaf, "secret", nil}, ".key: Wrong key"},
		"a chain that doesn't lead up":   {Certificate{leaf + other, key, nil}, ".certificate: Wrong chain: Certificate 1"},
		"a chain the wrong way round":    {Certificate{rootPEM + leaf, key, nil}, ".certificate: Wrong chain"},
		"a name that it isn't for":       {Certificate{leaf, key, []string{"www.site.example", "shop.example"}}, ".names[1]: Wrong name: The certificate isn't for shop.example: it is for *.site.example."},
		"one that has expired":           {Certificate{expired, expiredKey, nil}, ".certificate: Certificate has expired: It was good until 2029-12-31 00:00 UTC."},
		"no certificate":                 {Certificate{"nothing", key, nil}, ".certificate: Wrong value"},
		"a certificate that is cut":      {Certificate{leaf[:len(leaf)-40], key, nil}, ".certificate: Wrong value"},
		"a key among the certificates":   {Certificate{leaf + key, key, nil}, ".certificate: Wrong value: It holds a block"},
		"what isn't PEM behind the last": {Certificate{leaf + "more", key, nil}, ".certificate: Wrong value"},
	} {
		t.Run(name, func(t *testing.T) {
			errs := test.c.check("", now)
			if test.want == "" && len(errs) == 0 {
				return
			}
			for _, e := range errs {
				if test.want != "" && strings.HasPrefix(strings.TrimPrefix(e.Error(), "certificates"), test.want) {
					if strings.Contains(e.Error(), strings.Split(key, "\n")[1]) {
						t.Errorf("the key is told: %v", e)
					}
					return
				}
			}
			t.Errorf("found are %v, want %q", errs, test.want)
		})
	}
}
