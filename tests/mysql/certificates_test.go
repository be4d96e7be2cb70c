package mysql

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"sync"
	"testing"
	"time"
)

// pems are the certificates of the cluster, in PEM form.
type pems struct{ ca, certificate, key string }

var made struct {
	sync.Once
	pems
	err error
}

// certificates makes the cluster's certificates once.
func certificates(t *testing.T) pems {
	t.Helper()
	made.Do(func() { made.pems, made.err = makeCertificates() })
	if made.err != nil {
		t.Fatal(made.err)
	}
	return made.pems
}

// renew has the cluster be given others, signed by another CA.
func renew(t *testing.T) {
	t.Helper()
	certificates(t)
	if made.pems, made.err = makeCertificates(); made.err != nil {
		t.Fatal(made.err)
	}
}

func makeCertificates() (p pems, err error) {
	ca := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "databases' CA"}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	server := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "databases"}, DNSNames: hosts}
	for _, address := range []string{"10.0.1.31", "10.0.1.32", "10.0.1.33"} {
		server.IPAddresses = append(server.IPAddresses, net.ParseIP(address))
	}
	caKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return p, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return p, err
	}
	for _, c := range []*x509.Certificate{ca, server} {
		c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(24*time.Hour)
	}
	caDER, err := x509.CreateCertificate(rand.Reader, ca, ca, &caKey.PublicKey, caKey)
	if err != nil {
		return p, err
	}
	der, err := x509.CreateCertificate(rand.Reader, server, ca, &key.PublicKey, caKey)
	if err != nil {
		return p, err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	inPEM := func(typ string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: typ, Bytes: der}))
	}
	return pems{inPEM("CERTIFICATE", caDER), inPEM("CERTIFICATE", der), inPEM("PRIVATE KEY", keyDER)}, err
}
