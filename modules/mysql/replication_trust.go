package mysql

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io/fs"
	"strings"

	"muster/host"
)

// A replica's connection goes on with the certificate that it began with: whether it is let
// in by what its primary shows now, and by what its own CA file holds now, is known when it
// connects the next time, maybe in a night. No server tells with which files a connection
// was made, so that it is noted when muster makes one.

// trustPath is the note: a sum of both.
const trustPath = stateDir + "/replica"

// mark is a sum of the certificate that the primary shows and of what the replica trusts; ""
// where that can't be told, or the connection isn't TLS.
func (p *replicationPlanner) mark() (string, error) {
	if p.TLS == nil || p.donor.Certificate == "" {
		return "", nil
	}
	info, err := p.v.Stat(p.TLS.CA)
	if err != nil || !info.Exists() {
		return "", err // without it no connection is made, which is told when one is
	}
	ca, err := p.v.Sum(p.TLS.CA)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256([]byte(p.donor.Certificate + " " + ca))
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
