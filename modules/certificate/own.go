package certificate

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"muster/host"
	"muster/modules"
)

// spec is what a certificate that the host makes is to say.
type spec struct {
	CommonName string   `json:"common_name"`
	Names      []string `json:"names"`
	KeyType    string   `json:"key_type"`
}

const certificateSpace = "certificate"

func (c *Certificate) spec() spec {
	s := spec{CommonName: c.CommonName, KeyType: c.KeyType, Names: spelled(c.Names)}
	if s.CommonName == "" && len(c.Names) > 0 && len(c.Names[0]) <= 64 {
		s.CommonName = c.Names[0]
	}
	return s
}

// spelled are names in one spelling and order.
func spelled(names []string) []string {
	list := []string{}
	for _, n := range names {
		if ip := net.ParseIP(n); ip != nil {
			n = ip.String()
		}
		list = append(list, strings.ToLower(n))
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// pair is a certificate and key as they are on the host; nil where there is none, or none that
// can be read.
type pair struct {
	cert, key host.FileInfo
	leaf      *x509.Certificate
	signer    crypto.Signer
}

// planOwn compares what is on the host with a certificate that is signed by its own key.
func (c *Certificate) planOwn(ctx context.Context, v *host.View) (modules.Plan, error) {
	want := c.spec()
	key := host.Key{Space: certificateSpace, Name: c.Path}
	value, laid, _, err := v.Look(key)
	if err != nil {
		return modules.Plan{}, err
	}
	if laid { // an earlier task makes it
		var was spec
		if err := host.Unmarshal(value, &was); err != nil {
			return modules.Plan{}, err
		}
		if was.CommonName == want.CommonName && slices.Equal(was.Names, want.Names) && (want.KeyType == "" || was.KeyType == want.KeyType) {
			return modules.Plan{}, nil
		}
		return modules.Plan{}, fmt.Errorf("an earlier task makes %s for %s: one certificate is for all names", c.Path, strings.Join(was.Names, ", "))
	}
	have, err := c.read(ctx, v)
	if err != nil {
		return modules.Plan{}, err
	}
	if want.KeyType == "" {
		want.KeyType = defaultKey
		if have.signer != nil {
			want.KeyType = keyType(have.signer)
		}
	}
	if err := c.place(ctx, v); err != nil {
		return modules.Plan{}, err
	}
	why := c.differs(have, want, time.Now())
	var plan modules.Plan
	if len(why) > 0 {
		m := &Make{made: made{c.Path, certMode, c.Owner, c.Group, have.cert}, Key: c.keyPath(), KeySum: have.key.Sum, Spec: want, Days: c.days(), Why: why}
		if have.signer == nil || keyType(have.signer) != want.KeyType {
			m.KeySum = ""
			key := &MakeKey{made{c.keyPath(), keyMode, c.Owner, c.Group, have.key}, want.KeyType}
			return modules.Plan{Changes: []host.Change{key, m}}, nil
		}
		plan.Changes = []host.Change{m}
	}
	for _, f := range []struct {
		path string
		mode host.Mode
		info host.FileInfo
	}{{c.keyPath(), keyMode, have.key}, {c.Path, certMode, have.cert}} {
		if f.path == c.Path && len(why) > 0 {
			continue
		}
		change, err := c.attributes(ctx, v, f.path, f.mode, f.info)
		if err != nil {
			return modules.Plan{}, err
		}
		plan.Changes = append(plan.Changes, change...)
	}
	return plan, nil
}

// read reads what is on the host. What can't be read as a certificate or key counts as none.
func (c *Certificate) read(ctx context.Context, v *host.View) (pair, error) {
	var p pair
	for _, f := range []struct {
		path string
		info *host.FileInfo
		take func(data []byte)
	}{
		{c.Path, &p.cert, func(data []byte) {
			if list, err := decode(string(data)); err == nil {
				p.leaf = list[0]
			}
		}},
		{c.keyPath(), &p.key, func(data []byte) { p.signer, _ = readKey(string(data)) }},
	} {
		info, err := v.Lstat(f.path)
		switch {
		case err != nil:
			return p, err
		case !info.Exists():
			continue
		case info.Type != host.Regular:
			return p, fmt.Errorf("%s is a %s, not a regular file", f.path, info.Type)
		}
		data, err := v.ReadFile(ctx, f.path, sizeLimit)
		if err != nil {
			return p, err
		}
		if info.Sum, err = v.Sum(f.path); err != nil {
			return p, err
		}
		*f.info = info
		f.take(data)
	}
	return p, nil
}

// differs says why another certificate has to be made, a line each.
func (c *Certificate) differs(have pair, want spec, now time.Time) []string {
	switch {
	case have.leaf == nil && have.cert.Exists():
		return []string{"the file holds no certificate"}
	case have.leaf == nil:
		return []string{"names: " + strings.Join(want.Names, ", ")}
	}
	var why []string
	leaf := have.leaf
	switch {
	case have.signer == nil && have.key.Exists():
		why = append(why, "the key can't be read")
	case have.signer == nil:
		why = append(why, "the key is missing")
	case keyType(have.signer) != want.KeyType:
		why = append(why, fmt.Sprintf("key: %s → %s", keyType(have.signer), want.KeyType))
	case !same(leaf.PublicKey, have.signer.Public()):
		why = append(why, "the key isn't that of the certificate")
	case leaf.CheckSignature(leaf.SignatureAlgorithm, leaf.RawTBSCertificate, leaf.Signature) != nil:
		why = append(why, "it is signed by "+leaf.Issuer.String()+", not by its own key")
	}
	if leaf.Subject.CommonName != want.CommonName {
		why = append(why, fmt.Sprintf("common name: %s → %s", leaf.Subject.CommonName, want.CommonName))
	}
	if names := namesOf(leaf); !slices.Equal(names, want.Names) {
		why = append(why, fmt.Sprintf("names: %s → %s", strings.Join(names, ", "), strings.Join(want.Names, ", ")))
	}
	switch left := leaf.NotAfter.Sub(now); {
	case left <= 0:
		why = append(why, "it has expired on "+day(leaf.NotAfter))
	case left <= c.renewBefore():
		why = append(why, "it expires on "+day(leaf.NotAfter))
	}
	return why
}

// namesOf are the names that a certificate is for.
func namesOf(cert *x509.Certificate) []string {
	names := slices.Clone(cert.DNSNames)
	for _, ip := range cert.IPAddresses {
		names = append(names, ip.String())
	}
	return spelled(names)
}

func same(a, b crypto.PublicKey) bool {
	k, ok := a.(interface{ Equal(crypto.PublicKey) bool })
	return ok && k.Equal(b)
}

const defaultKey = "ecdsa"

// keyType is what key_type calls a key.
func keyType(key crypto.Signer) string {
	switch key.(type) {
	case *ecdsa.PrivateKey:
		return "ecdsa"
	case *rsa.PrivateKey:
		return "rsa"
	case ed25519.PrivateKey:
		return "ed25519"
	}
	return "another"
}

// makeKey makes a key.
func makeKey(typ string) (crypto.Signer, error) {
	switch typ {
	case "rsa":
		return rsa.GenerateKey(rand.Reader, 3072)
	case "ed25519":
		_, key, err := ed25519.GenerateKey(rand.Reader)
		return key, err
	}
	return ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
}

// readKey reads a private key. Errors quote nothing of it.
func readKey(text string) (crypto.Signer, error) {
	for rest := []byte(text); ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return nil, errors.New("it has no private key, which begins with -----BEGIN PRIVATE KEY-----")
		}
		if !strings.HasSuffix(block.Type, "PRIVATE KEY") {
			continue
		}
		if strings.HasPrefix(block.Type, "ENCRYPTED") || block.Headers["DEK-Info"] != "" {
			return nil, errors.New("its private key has a passphrase, which no server could type")
		}
		var key any
		var err error
		switch block.Type {
		case "EC PRIVATE KEY":
			key, err = x509.ParseECPrivateKey(block.Bytes)
		case "RSA PRIVATE KEY":
			key, err = x509.ParsePKCS1PrivateKey(block.Bytes)
		default:
			key, err = x509.ParsePKCS8PrivateKey(block.Bytes)
		}
		signer, ok := key.(crypto.Signer)
		if err != nil || !ok {
			return nil, errors.New("its private key can't be read")
		}
		return signer, nil
	}
}

// keyText is a private key in PEM form.
func keyText(key crypto.Signer) (string, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})), err
}
