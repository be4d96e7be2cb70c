package ssh

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"

	"muster/transport"
)

// The policy of this file: the project's known_hosts speaks first, by the
// inventory's name; only what it doesn't know is looked up by address in the
// user's files. A revoked key is refused wherever its line stands and whatever
// hosts the line names. A certificate is held against the authorities known
// for the host; where none signed it, or it is invalid, the key in it may
// still be known by itself (as OpenSSH does it).

// hostKeys holds the known hosts of one Dialer.
type hostKeys struct {
	opts Options

	mu      sync.Mutex // held while a file is read or added to
	loaded  bool
	err     error
	project []knownLine
	user    []knownLine
}

// load reads the files once. mu is held.
func (k *hostKeys) load() error {
	if k.loaded {
		return k.err
	}
	k.loaded = true
	if k.opts.ProjectKnownHosts != "" {
		if k.project, k.err = readKnownHosts(k.opts.ProjectKnownHosts, k.opts.Warn); k.err != nil {
			return k.err
		}
	}
	for _, file := range k.opts.UserKnownHosts {
		lines, err := readKnownHosts(file, k.opts.Warn)
		if err != nil {
			k.opts.Warn(err.Error())
			continue
		}
		k.user = append(k.user, lines...)
	}
	return nil
}

// known returns the lines about h, without revoked ones. mu is held.
func (k *hostKeys) known(h hop) []knownLine {
	about := func(lines []knownLine, name string) []knownLine {
		return slices.DeleteFunc(slices.Clone(lines), func(l knownLine) bool {
			return l.marker == "revoked" || !l.matches(name)
		})
	}
	if found := about(k.project, h.name); len(found) > 0 {
		return found
	}
	return about(k.user, knownName(h.alias, h.port))
}

// plainAlgorithms and certAlgorithms are what a host may prove itself with, in
// order of preference.
func plainAlgorithms() []string {
	return []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
		ssh.KeyAlgoSKED25519, ssh.KeyAlgoSKECDSA256, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
}

func certAlgorithms() []string {
	return []string{ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
		ssh.CertAlgoRSASHA512v01, ssh.CertAlgoRSASHA256v01}
}

// algorithms orders the host key algorithms so that a server with several keys
// shows one that is known: certificates where an authority is, then the known
// types, then the rest (a host with none of the known keys shows another, and
// is told apart from one that cannot be talked to).
func (k *hostKeys) algorithms(h hop) ([]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(); err != nil {
		return nil, err
	}
	var first []string
	authority := false
	for _, l := range k.known(h) {
		switch {
		case l.marker == "cert-authority":
			authority = true
		case l.key.Type() == ssh.KeyAlgoRSA:
			first = append(first, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		default:
			first = append(first, l.key.Type())
		}
	}
	var order []string
	if authority {
		order = certAlgorithms()
	}
	order = append(order, first...)
	order = append(order, plainAlgorithms()...)
	order = append(order, certAlgorithms()...)
	seen := map[string]bool{}
	return slices.DeleteFunc(order, func(a string) bool {
		again := seen[a]
		seen[a] = true
		return again
	}), nil
}

// check says whether h may show key, and adds a new one where the policy says
// so. Its errors are *transport.HostKeyError, or about the files.
func (k *hostKeys) check(h hop, key ssh.PublicKey) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if err := k.load(); err != nil {
		return err
	}
	bad := transport.HostKeyError{Host: h.name, Type: key.Type(), Fingerprint: ssh.FingerprintSHA256(plainKey(key))}
	for _, l := range slices.Concat(k.project, k.user) {
		if l.marker != "revoked" {
			continue
		}
		cert, isCert := key.(*ssh.Certificate)
		if sameKey(l.key, plainKey(key)) || isCert && sameKey(l.key, cert.SignatureKey) {
			bad.Verdict, bad.Known = transport.KeyRevoked, []transport.KnownKey{l.data()}
			return &bad
		}
	}
	known := k.known(h)
	if cert, ok := key.(*ssh.Certificate); ok {
		valid, detail := checkCertificate(h, cert, known)
		if valid {
			return nil
		}
		bad.Verdict, bad.Detail = transport.KeyInvalid, detail
	}
	for _, l := range known {
		if l.marker == "" && sameKey(l.key, plainKey(key)) {
			return nil
		}
	}
	if bad.Detail != "" {
		return &bad
	}
	for _, l := range known {
		if l.marker == "" {
			bad.Verdict = transport.KeyChanged
			bad.Known = append(bad.Known, l.data())
		}
	}
	switch {
	case bad.Verdict == transport.KeyChanged:
		return &bad
	case len(known) > 0: // authorities only, and this key is not theirs
		bad.Verdict, bad.Detail = transport.KeyInvalid, fmt.Sprintf("no authority known for the host signed it (%s)", known[0].at())
		return &bad
	case k.opts.HostKeys == AcceptNew:
		return k.accept(h, plainKey(key))
	}
	bad.Verdict = transport.KeyUnknown
	return &bad
}

// checkCertificate reports whether cert is good for h; if an authority of the
// host signed it but it isn't, why not.
func checkCertificate(h hop, cert *ssh.Certificate, known []knownLine) (bool, string) {
	signed := slices.ContainsFunc(known, func(l knownLine) bool {
		return l.marker == "cert-authority" && sameKey(l.key, cert.SignatureKey)
	})
	if !signed {
		return false, ""
	}
	if cert.CertType != ssh.HostCert {
		return false, "it is a user's certificate"
	}
	principal := h.name
	for _, p := range []string{h.alias, h.host} {
		if !slices.Contains(cert.ValidPrincipals, principal) && slices.Contains(cert.ValidPrincipals, p) {
			principal = p
		}
	}
	var checker ssh.CertChecker
	if err := checker.CheckCert(principal, cert); err != nil {
		return false, strings.TrimPrefix(err.Error(), "ssh: ")
	}
	return true, ""
}

// accept makes key known for h, on the disk too. mu is held.
func (k *hostKeys) accept(h hop, key ssh.PublicKey) error {
	file, name := k.opts.ProjectKnownHosts, h.name
	if file == "" {
		if len(k.opts.UserKnownHosts) == 0 {
			return nil
		}
		file, name = k.opts.UserKnownHosts[0], knownName(h.alias, h.port)
	}
	lines, err := appendKnownHost(file, name, key)
	if err != nil {
		return err
	}
	for _, l := range lines {
		if l.marker == "" && l.matches(name) && !sameKey(l.key, key) {
			return &transport.HostKeyError{Host: h.name, Verdict: transport.KeyChanged, Type: key.Type(),
				Fingerprint: ssh.FingerprintSHA256(key), Known: []transport.KnownKey{l.data()}}
		}
	}
	if k.opts.ProjectKnownHosts != "" {
		k.project = lines
	} else {
		k.user = append(k.user, lines...)
	}
	return nil
}

// data is the line as the errors show it.
func (l knownLine) data() transport.KnownKey {
	return transport.KnownKey{Type: l.key.Type(), Fingerprint: ssh.FingerprintSHA256(l.key), File: l.file, Line: l.line}
}
