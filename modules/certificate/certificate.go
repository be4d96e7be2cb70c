// Package certificate has the kinds of X.509 certificates: those that a host trusts, and those
// that it shows.
package certificate

import (
	"bytes"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "ca_trust", New: func() modules.Module { return &CATrust{} }},
		{Name: "certificate", New: func() modules.Module { return &Certificate{} }},
	}
}

// sizeLimit is the size, in bytes, up to which a file of certificates is read.
const sizeLimit = 1 << 20

// decode reads a text of certificates, and nothing else. Errors quote nothing of it.
func decode(text string) ([]*x509.Certificate, error) {
	var list []*x509.Certificate
	rest := []byte(text)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			return nil, fmt.Errorf("it holds a private key: only certificates belong here")
		case block.Type != "CERTIFICATE" && block.Type != "TRUSTED CERTIFICATE":
			return nil, fmt.Errorf("it holds a block %q: only certificates belong here", block.Type)
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, fmt.Errorf("number %d of its certificates can't be read: %w", len(list)+1, err)
		}
		list = append(list, cert)
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("it is no certificate in PEM form, which begins with -----BEGIN CERTIFICATE----- and ends with its own end")
	}
	if bytes.Contains(rest, []byte("-----BEGIN ")) {
		return nil, fmt.Errorf("what follows number %d of its certificates can't be read: it is damaged or cut off", len(list))
	}
	return list, nil
}

// encode is a certificate as text.
func encode(cert *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Raw}))
}

// fingerprint is the beginning of a certificate's fingerprint, by which its file is known.
func fingerprint(cert *x509.Certificate) string {
	sum := sha256.Sum256(cert.Raw)
	return hex.EncodeToString(sum[:4])
}

// named is how people know a certificate.
func named(cert *x509.Certificate) string {
	if name := cert.Subject.String(); name != "" {
		return name
	}
	return "number " + fmt.Sprintf("%X", cert.SerialNumber)
}

// day is a date as messages have it.
func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
