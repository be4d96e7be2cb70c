package stream

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"time"

	"muster/internal/wire"
)

// NewKeys makes the keys of both sides of one stream.
func NewKeys() (sender, receiver *wire.Keys, err error) {
	cert1, key1, err1 := selfSigned()
	cert2, key2, err2 := selfSigned()
	if err := errors.Join(err1, err2); err != nil {
		return nil, nil, err
	}
	return &wire.Keys{Cert: cert1, Key: key1, Peer: cert2}, &wire.Keys{Cert: cert2, Key: key2, Peer: cert1}, nil
}

// selfSigned makes a certificate that nobody has to trust: it is known to the byte. So
// its times say nothing, and hosts' clocks don't count.
func selfSigned() (cert, key []byte, err error) {
	public, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	number, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, nil, err
	}
	template := &x509.Certificate{SerialNumber: number, Subject: pkix.Name{CommonName: "muster"}, NotAfter: time.Now().AddDate(1, 0, 0)}
	if cert, err = x509.CreateCertificate(rand.Reader, template, template, public, private); err != nil {
		return nil, nil, err
	}
	key, err = x509.MarshalPKCS8PrivateKey(private)
	return cert, key, err
}

// errStranger is a peer with another key than the one made for the stream.
var errStranger = errors.New("what answers has another key than the one made for this stream")

// config is TLS with one peer, known by its certificate.
func config(k *wire.Keys) (*tls.Config, error) {
	key, err := x509.ParsePKCS8PrivateKey(k.Key)
	if err != nil {
		return nil, err
	}
	return &tls.Config{
		MinVersion:             tls.VersionTLS13,
		Certificates:           []tls.Certificate{{Certificate: [][]byte{k.Cert}, PrivateKey: key}},
		ClientAuth:             tls.RequireAnyClientCert,
		InsecureSkipVerify:     true, // VerifyConnection knows the one certificate that is right
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			if len(s.PeerCertificates) != 1 || !bytes.Equal(s.PeerCertificates[0].Raw, k.Peer) {
				return errStranger
			}
			return nil
		},
	}, nil
}
