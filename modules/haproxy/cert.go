package haproxy

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"time"

	"muster/modules"
)

// Certificate is a certificate with its key, in one file for HAProxy.
type Certificate struct {
	// The certificate and what leads up to its authority, in PEM form: its own first.
	Certificate string `arg:"certificate,required"`
	// Its key, in PEM form.
	Key string `arg:"key,required,sensitive"`
	// Names that it has to be for.
	Names []string `arg:"names"`
}

// pem is the file that HAProxy reads.
func (c Certificate) pem() string {
	return strings.TrimSpace(c.Certificate) + "\n" + strings.TrimSpace(c.Key) + "\n"
}

// leaf is the certificate itself, nil where it can't be read.
func (c Certificate) leaf() *x509.Certificate {
	block, _ := pem.Decode([]byte(c.Certificate))
	if block == nil {
		return nil
	}
	cert, _ := x509.ParseCertificate(block.Bytes)
	return cert
}

// check holds key, chain and names against each other.
func (c Certificate) check(at string, now time.Time) (errs []modules.ArgError) {
	fail := func(part, summary, format string, a ...any) {
		errs = append(errs, modules.ArgError{Arg: "certificates", Path: at + part, Summary: summary, Detail: fmt.Sprintf(format, a...)})
	}
	var chain []*x509.Certificate
	rest := []byte(c.Certificate)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type != "CERTIFICATE" {
			fail(".certificate", "Wrong value", "It holds a block %q: only certificates belong here, and the key in \"key\".", block.Type)
			return errs
		}
		cert, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			fail(".certificate", "Wrong value", "Number %d of its certificates can't be read: %s.", len(chain)+1, err)
			return errs
		}
		chain = append(chain, cert)
	}
	if text := strings.TrimSpace(string(rest)); text != "" || len(chain) == 0 {
		fail(".certificate", "Wrong value", "It is no certificate in PEM form, which begins with -----BEGIN CERTIFICATE----- and ends with its own end.")
		return errs
	}
	if _, err := tls.X509KeyPair([]byte(c.Certificate), []byte(c.Key)); err != nil {
		what := strings.TrimPrefix(err.Error(), "tls: ")
		if strings.Contains(what, "does not match") {
			what = "it isn't the key of this certificate"
		}
		fail(".key", "Wrong key", "%s.", what)
	}
	for i := 0; i+1 < len(chain); i++ {
		if err := chain[i].CheckSignatureFrom(chain[i+1]); err != nil {
			fail(".certificate", "Wrong chain", "Certificate %d (%s) wasn't issued by the one that follows it (%s): each has to be followed by its issuer's.", i+1, chain[i].Subject, chain[i+1].Subject)
		}
	}
	if !now.Before(chain[0].NotAfter) {
		fail(".certificate", "Certificate has expired", "It was good until %s.", chain[0].NotAfter.UTC().Format("2006-01-02 15:04 MST"))
	}
	for i, name := range c.Names {
		if err := chain[0].VerifyHostname(strings.Replace(name, "*.", "any.", 1)); err != nil {
			fail(fmt.Sprintf(".names[%d]", i), "Wrong name", "The certificate isn't for %s: it is for %s.", name, strings.Join(chain[0].DNSNames, ", "))
		}
	}
	return errs
}

// serial is a certificate's number as browsers and openssl show it.
func serial(c *x509.Certificate) string {
	if c == nil {
		return "unreadable"
	}
	return fmt.Sprintf("%X", c.SerialNumber)
}
