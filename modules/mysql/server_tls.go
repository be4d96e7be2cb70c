package mysql

import (
	"bytes"
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"fmt"

	"muster/host"
	"muster/modules"
)

// serverCertificates are the files of TLS as they will be.
type serverCertificates struct {
	leaf []byte // in DER
	mark string // of all three files; "" where none are given
}

// certificates reads and checks the files: a server with files that don't go together starts
// without TLS, or doesn't start.
func (p *serverPlanner) certificates(ctx context.Context) error {
	if p.TLS == nil {
		return nil
	}
	wrong := func(path, detail string, args ...any) error {
		return modules.ArgError{Arg: "tls", Path: path, Summary: "The server couldn't use this", Detail: fmt.Sprintf(detail, args...)}
	}
	read := map[string][]byte{}
	for _, f := range []struct{ arg, path string }{{".certificate", p.TLS.Certificate}, {".key", p.TLS.Key}, {".ca", p.TLS.CA}} {
		data, err := p.v.ReadFile(ctx, f.path, optionLimit)
		if gone(err) {
			return wrong(f.arg, "There is no %s on this host: put it there in an earlier task.", f.path)
		}
		if err != nil {
			return err
		}
		read[f.arg] = data
		if err := p.readable(ctx, f.path); err != nil {
			return wrong(f.arg, "%s", err)
		}
	}
	pair, err := tls.X509KeyPair(read[".certificate"], read[".key"])
	if err != nil {
		return wrong("", "%s and %s don't go together: %v.", p.TLS.Certificate, p.TLS.Key, err)
	}
	leaf, err := x509.ParseCertificate(pair.Certificate[0])
	if err != nil {
		return wrong(".certificate", "%s: %v.", p.TLS.Certificate, err)
	}
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	if !roots.AppendCertsFromPEM(read[".ca"]) {
		return wrong(".ca", "%s holds no certificate in PEM.", p.TLS.CA)
	}
	between.AppendCertsFromPEM(afterFirst(read[".certificate"]))
	if _, err := leaf.Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, CurrentTime: leaf.NotBefore, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		return wrong(".ca", "The certificate in %s isn't one of the CA's in %s: %v.", p.TLS.Certificate, p.TLS.CA, err)
	}
	sum := sha256.New()
	for _, arg := range []string{".certificate", ".key", ".ca"} {
		fmt.Fprintf(sum, "%x ", sha256.Sum256(read[arg]))
	}
	p.tls = serverCertificates{leaf: leaf.Raw, mark: hex.EncodeToString(sum.Sum(nil)[:12])}
	return nil
}

// afterFirst is a file of certificates without its first.
func afterFirst(data []byte) []byte {
	_, rest := pem.Decode(data)
	return rest
}

// readable returns an error where the server's user can't read a file.
func (p *serverPlanner) readable(ctx context.Context, path string) error {
	info, err := p.v.Stat(path)
	if err != nil {
		return err
	}
	who := host.Identity{Name: "mysql", Owners: map[string]bool{"mysql": true}, Groups: map[string]bool{"mysql": true}}
	groups, err := p.v.Groups()
	if err != nil {
		return err
	}
	for _, g := range groups {
		for _, m := range g.Members {
			if m == "mysql" {
				who.Groups[g.Name] = true
			}
		}
	}
	if !who.Perhaps(info, host.MayRead) {
		return fmt.Errorf(`the server runs as mysql, who can't read %s (%s:%s, mode %s): give it to the group mysql, with mode "0640"`, path, info.Owner, info.Group, info.Mode)
	}
	return nil
}

// staleCertificates reports whether the server has other certificates loaded than the files
// hold. What it shows is compared; of the CA there is only what was noted.
func (p *serverPlanner) staleCertificates() bool {
	if p.now.vars == nil {
		return p.now.TLS != p.tls.mark
	}
	return !bytes.Equal(p.now.served, p.tls.leaf) || p.now.note.TLS != p.tls.mark
}

// reloadTLS has the server load its certificates anew; those who are connected stay so. In
// the binary log it would be a transaction that a replica has and its primary hasn't.
func (s *server) reloadTLS(ctx context.Context) error {
	statements := []string{"SET SESSION sql_log_bin = 0", "ALTER INSTANCE RELOAD TLS"}
	if s.flavor == mariadb {
		statements = []string{"FLUSH NO_WRITE_TO_BINLOG SSL"}
	}
	for _, statement := range statements {
		if err := s.do(ctx, statement); err != nil {
			return fmt.Errorf("loading the certificates: %w", err)
		}
	}
	return nil
}

// shows reports whether a certificate is the first of a file.
func shows(leaf, file []byte) bool {
	block, _ := pem.Decode(file)
	return block != nil && bytes.Equal(block.Bytes, leaf)
}
