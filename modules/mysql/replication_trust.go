package mysql

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"muster/host"
	"muster/modules"
)

// A replica's connection goes on with the certificate that it began with: whether it is let
// in by what its primary shows now, and by what its own CA file holds now, is known when it
// connects the next time, maybe in a night. No server tells with which files a connection
// was made, so that it is noted when muster makes one.

// trustPath is the note: a sum of both.
const trustPath = stateDir + "/replica"

// trusts finds what is against a TLS connection to the primary, as far as that can be told
// before one is made, and returns a sum of the certificate that the primary shows and of what
// the replica trusts; "" where the connection isn't TLS.
func (p *replicationPlanner) trusts(ctx context.Context) (string, error) {
	if p.TLS == nil {
		return "", nil
	}
	wrong := func(where, summary, detail string, args ...any) error {
		return modules.ArgError{Arg: "tls", Path: where, Summary: summary, Detail: fmt.Sprintf(detail, args...)}
	}
	ca, err := p.v.ReadFile(ctx, p.TLS.CA, optionLimit)
	if gone(err) {
		return "", wrong(".ca", "No such file", "There is no %s on this host: put it there in an earlier task.", p.TLS.CA)
	}
	if err != nil {
		return "", err
	}
	if !x509.NewCertPool().AppendCertsFromPEM(ca) {
		return "", wrong(".ca", "No certificate", "%s holds no certificate in PEM.", p.TLS.CA)
	}
	if len(p.donor.Chain) == 0 {
		return "", wrong("", "No TLS", "The server of %s shows no certificate: give its mysql_server tls.", p.Primary)
	}
	if err := p.wanted(&p.donor, "").accepts(p.donor.Chain, ca); err != nil {
		return "", wrong("", "The primary wouldn't be trusted", "%s.", sentence(err.Error()))
	}
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %x", certificateSum(p.donor.Chain[0]), sha256.Sum256(ca)))
	return hex.EncodeToString(sum[:]), nil
}

// distrusted reports whether the replica's connection was made by another certificate or CA
// than there are now. Of one that somebody else has made it can't be told.
func (p *replicationPlanner) distrusted(ctx context.Context, mark string) (bool, error) {
	if mark == "" {
		return false, nil
	}
	noted, err := p.v.ReadFile(ctx, trustPath, noteLimit)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && strings.TrimSpace(string(noted)) != mark, err
}

// trustEffects is the note, where there is one.
func trustEffects(mark string) []host.Effect {
	if mark == "" {
		return nil
	}
	return append(stateEffects(), host.Open(host.Files, trustPath))
}

// noteTrust notes by what a connection is made.
func noteTrust(mark string) error {
	if mark == "" {
		return nil
	}
	d, err := host.MakeDirs(stateDir, 0o700)
	if err != nil {
		return err
	}
	d.Close()
	return host.Put(trustPath, []byte(mark+"\n"), 0o600)
}

// certificateSum names a certificate.
func certificateSum(leaf []byte) string {
	if leaf == nil {
		return ""
	}
	sum := sha256.Sum256(leaf)
	return hex.EncodeToString(sum[:])
}
