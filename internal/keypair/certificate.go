// Package keypair makes certificates with their keys, and reads them.
//
// A secret is one value. So a key and what is public of it are kept as one text: a TLS key
// behind its certificate, in one PEM text. An SSH key, which has its public half in it, is
// package sshkey's: the remote links this package, and nothing of SSH.
package keypair

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"regexp"
	"strings"
	"time"

	"muster/secret"
)

// Request is what a certificate is to say.
type Request struct {
	CommonName string
	// Names are host names and IP addresses that it is for. Clients look at them alone,
	// not at CommonName.
	Names []string
	Days  int // how long it is good; 0: DefaultDays
	// Authority: it signs others, and is for no server.
	Authority bool
	// Issuer is the certificate and key of the authority that signs it. With none it is
	// signed by its own key.
	Issuer secret.String
	// Own is the key that the certificate is of; nil for a new one (ECDSA on P-256, which
	// every client takes).
	Own crypto.Signer
}

// DefaultDays is how long a certificate is good where nothing is said.
const DefaultDays = 90

// MostDays is the longest that one can be asked for.
const MostDays = 7300

// Back is by how much a certificate is good before it is made: clocks differ.
const Back = time.Hour

// label is a part of a host's name (RFC 1123), the first of which may be "*".
var label = regexp.MustCompile(`^[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?$`)

// CheckName says why a certificate can't be for a name; nil where it can.
func CheckName(name string) error {
	if net.ParseIP(name) != nil {
		return nil
	}
	labels := strings.Split(name, ".")
	if labels[0] == "*" && len(labels) > 2 {
		labels = labels[1:]
	}
	for i, l := range labels {
		if !label.MatchString(l) || i == len(labels)-1 && strings.Trim(l, "0123456789") == "" { // "10.0.0.300"
			return fmt.Errorf("%q is no name that a certificate can be for: write a host name (\"www.example.com\", \"*.example.com\") or an IP address", name)
		}
	}
	if len(name) > 253 {
		return fmt.Errorf("%q is too long for a host name", name)
	}
	return nil
}

// CheckCommonName says why a text can't be a common name; nil where it can.
func CheckCommonName(text string) error {
	// RFC 5280, ub-common-name
	if text == "" || text != strings.TrimSpace(text) || len(text) > 64 || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r == 0x7f || r == '\uFFFD' }) {
		return fmt.Errorf("%q can't be a common name: it is one line of text, of at most 64 bytes", text)
	}
	return nil
}

// CheckDays says why a certificate can't be good for so long; nil where it can.
func CheckDays(n int) error {
	if n < 1 || n > MostDays {
		return fmt.Errorf("a certificate is good for 1 to %d days, not %d", MostDays, n)
	}
	return nil
}

// Check says what is wrong with a request, but for its issuer.
func (r Request) Check() error {
	if len(r.Names) == 0 && !r.Authority {
		return errors.New("a server's certificate is for names: clients look at nothing else of it")
	}
	if r.Authority && len(r.Names) > 0 {
		return errors.New("the certificate of an authority is for no server: it has a common name, and no names")
	}
	var errs []error
	if r.CommonName != "" || r.Authority {
		errs = append(errs, CheckCommonName(r.CommonName))
	}
	for _, name := range r.Names {
		errs = append(errs, CheckName(name))
	}
	if r.Days != 0 {
		errs = append(errs, CheckDays(r.Days))
	}
	return errors.Join(errs...)
}

// Certificate makes a certificate, and a key where the request has none: one PEM text with the certificate, what leads from it up to an authority that isn't its own
// issuer, and the key.
func Certificate(r Request, now time.Time) (secret.String, error) {
	if err := r.Check(); err != nil {
		return secret.String{}, err
	}
	key := r.Own
	if key == nil {
		made, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			return secret.String{}, fmt.Errorf("making a key: %w", err)
		}
		key = made
	}
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil {
		return secret.String{}, fmt.Errorf("making a certificate: %w", err)
	}
	days := r.Days
	if days == 0 {
		days = DefaultDays
	}
	cert := &x509.Certificate{
		SerialNumber: serial.Add(serial, big.NewInt(1)), Subject: pkix.Name{CommonName: r.CommonName},
		NotBefore: now.Add(-Back).UTC().Truncate(time.Second), NotAfter: now.AddDate(0, 0, days).UTC().Truncate(time.Second),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}, BasicConstraintsValid: true,
	}
	if r.CommonName == "" && len(r.Names[0]) <= 64 {
		cert.Subject.CommonName = r.Names[0]
	}
	if r.Authority {
		cert.IsCA, cert.KeyUsage, cert.ExtKeyUsage = true, x509.KeyUsageCertSign|x509.KeyUsageCRLSign, nil
	}
	for _, name := range r.Names {
		if ip := net.ParseIP(name); ip != nil {
			cert.IPAddresses = append(cert.IPAddresses, ip)
		} else {
			cert.DNSNames = append(cert.DNSNames, name)
		}
	}
	by, signer, above := cert, key, ""
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return secret.String{}, fmt.Errorf("making a certificate: %w", err)
	}
	// The id tells certificates of one name apart, which clients trust beside each other
	// while they are rotated (RFC 7093, section 2, method 4).
	id := sha256.Sum256(public)
	cert.SubjectKeyId, cert.AuthorityKeyId = id[:20], id[:20]
	if r.Issuer.Reveal() != "" {
		if by, signer, above, err = issuer(r.Issuer.Reveal(), cert); err != nil {
			return secret.String{}, err
		}
		cert.AuthorityKeyId = by.SubjectKeyId
	}
	made, err := x509.CreateCertificate(rand.Reader, cert, by, key.Public(), signer)
	if err != nil {
		return secret.String{}, fmt.Errorf("making a certificate: %w", err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return secret.String{}, fmt.Errorf("making a certificate: %w", err)
	}
	return secret.New(encode("CERTIFICATE", made) + above + encode("PRIVATE KEY", private)), nil
}

func encode(kind string, der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
}

// issuer reads the authority that is to sign a certificate. Above are the certificates
// that have to be sent with what it signs: all but a root, which clients have.
func issuer(text string, cert *x509.Certificate) (by *x509.Certificate, signer crypto.Signer, above string, err error) {
	p, err := parse(text)
	if err != nil {
		return nil, nil, "", fmt.Errorf("the authority's secret: %w", err)
	}
	by = p.certs[0]
	switch {
	case !by.IsCA || by.KeyUsage != 0 && by.KeyUsage&x509.KeyUsageCertSign == 0:
		return nil, nil, "", fmt.Errorf("the certificate of %s is no authority's: it may not sign others", by.Subject)
	case cert.NotAfter.After(by.NotAfter):
		return nil, nil, "", fmt.Errorf("the authority's own certificate ends on %s, before the one that it is to sign (%s): renew it first, or ask for fewer days",
			by.NotAfter.UTC().Format(time.DateOnly), cert.NotAfter.Format(time.DateOnly))
	case cert.IsCA && by.MaxPathLen == 0 && by.MaxPathLenZero:
		return nil, nil, "", fmt.Errorf("the authority %s signs servers' certificates, and no other authority's", by.Subject)
	}
	if signer, err = p.signer(); err != nil {
		return nil, nil, "", fmt.Errorf("the authority's secret: %w", err)
	}
	for _, c := range p.certs {
		if c.CheckSignatureFrom(c) != nil {
			above += encode("CERTIFICATE", c.Raw)
		}
	}
	return by, signer, above, nil
}

// parts are what a PEM text with certificates and their key has.
type parts struct {
	certs []*x509.Certificate // the key's own first
	key   *pem.Block
}

// parse reads a text as Certificate makes it. Errors quote nothing of it.
func parse(text string) (parts, error) {
	var p parts
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return p, fmt.Errorf("number %d of its certificates can't be read", len(p.certs)+1)
			}
			p.certs = append(p.certs, cert)
		case strings.HasSuffix(block.Type, "PRIVATE KEY") && p.key != nil:
			return p, errors.New("it has more than one private key")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			p.key = block
		}
	}
	switch {
	case len(p.certs) == 0:
		return p, errors.New("it has no certificate, which begins with \"-----BEGIN CERTIFICATE-----\"")
	case p.key == nil:
		return p, errors.New("it has no private key, which begins with \"-----BEGIN PRIVATE KEY-----\"")
	}
	return p, nil
}

// signer is the key, which has to be that of the first certificate.
func (p parts) signer() (crypto.Signer, error) {
	pair, err := tls.X509KeyPair(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: p.certs[0].Raw}), pem.EncodeToMemory(p.key))
	signer, ok := pair.PrivateKey.(crypto.Signer)
	if err != nil || !ok {
		return nil, errors.New("its private key isn't that of its first certificate")
	}
	return signer, nil
}

// Chain returns the certificates of a text, the key's own first, in PEM form.
func Chain(text string) (string, error) {
	p, err := parse(text)
	if err != nil {
		return "", err
	}
	chain := ""
	for _, c := range p.certs {
		chain += encode("CERTIFICATE", c.Raw)
	}
	return chain, nil
}

// Key returns the private key of a text, in PEM form.
func Key(text string) (string, error) {
	p, err := parse(text)
	if err != nil {
		return "", err
	}
	return encode(p.key.Type, p.key.Bytes), nil
}

// Fingerprint returns the SHA-256 sum of the first certificate of a text, in hexadecimal.
func Fingerprint(text string) (string, error) {
	p, err := parse(text)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(p.certs[0].Raw)
	return hex.EncodeToString(sum[:]), nil
}
