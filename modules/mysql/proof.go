package mysql

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"muster/host"
)

// A password is proved by a login with it. The socket leads to accounts of localhost, and
// to those of any host that nobody's of localhost is before. muster notes what it has set: a
// sum of the password and of what the server made of it, keyed by the host. For an account
// to which no login leads (of other hosts, locked, expired, with a client's certificate)
// that note has to do. Where there is none, or it is about something else, the password is
// set anew.

// proof is what is known of an account's password.
type proof string

const (
	right       proof = "right"
	wrong       proof = "wrong"
	unreachable proof = "unreachable" // by a login through the socket
)

// proofs remembers, for a whole run, what logins have shown: servers may lock an account
// after some that failed. It is keyed by what the server knows of the password, too, so
// that it holds after any change.
type proofs struct {
	mu   sync.Mutex
	said map[string]proof
}

// of returns what is known of a password. Where nothing is, try logs in; it is nil where no
// login leads to the account.
func (p *proofs) of(a *account, password string, try func() (proof, error)) (proof, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	sum := sha256.Sum256(fmt.Appendf(nil, "%q %q %q %q", a.name, strings.ToLower(a.host), a.auth(), password))
	key := string(sum[:])
	if said, ok := p.said[key]; ok {
		return said, nil
	}
	if try == nil {
		return unreachable, nil
	}
	said, err := try()
	if err == nil && said != unreachable {
		if p.said == nil {
			p.said = map[string]proof{}
		}
		p.said[key] = said
	}
	return said, err
}

// reachable reports whether a login by the socket, in the account's name, leads to it.
func (a *accounts) reachable(to *account) bool {
	if to.locked || to.expired || to.tls == certTLS || to.tls == ownCert || to.tls == anyTLS && !a.tls {
		return false
	}
	if len(to.methods) == 0 || strings.Contains(to.plugin(), " ") || !slices.Contains([]string{nativePlugin, ed25519Plugin, cachingPlugin, sha256Plugin}, to.methods[0].Plugin) {
		return false
	}
	switch strings.ToLower(to.host) {
	case "localhost":
		return true
	case "%":
		return !slices.ContainsFunc(a.list, func(o account) bool {
			return (o.name == to.name || o.name == "") && o.host != "%" && o.host != "" && !o.role && mayMean(o.host)
		})
	}
	return false
}

// mayMean reports whether a host of an account's may be localhost: all names and patterns
// may, addresses aren't what connects through a socket.
func mayMean(host string) bool { return strings.Trim(host, "0123456789./") != "" }

// try logs in as an account.
func try(ctx context.Context, dial dialer, a *account, password string) (proof, error) {
	db, err := open(ctx, dial, login{user: a.name, password: password, tls: a.tls == anyTLS})
	switch {
	case err == nil:
	case isError(err, errAccessDenied, errNoSuchLogin):
		return wrong, nil
	case isError(err, errUserLimit, errTooManyOfUser, errMustChange): // found out once it was let in
		return right, nil
	case isError(err, errLockedMySQL, errLockedMariaDB):
		return unreachable, nil
	default:
		return "", fmt.Errorf("logging in as %s: %w", accountName(a.name, a.host), unanswered(err))
	}
	s := &server{db: db}
	defer s.Close()
	rows, err := s.rows(ctx, "SELECT CURRENT_USER()")
	switch {
	case err != nil:
		return "", fmt.Errorf("logging in as %s: %w", accountName(a.name, a.host), err)
	case len(rows) == 1 && strings.EqualFold(rows[0][0], a.name+"@"+a.host):
		return right, nil
	}
	return unreachable, nil // it is somebody else's password
}

const (
	stateDir  = "/var/lib/muster/mysql"
	keyPath   = stateDir + "/key"
	notesDir  = stateDir + "/passwords"
	noteLimit = 4096 // the size, in bytes, up to which muster's own files are read
)

func notePath(name, host string) string {
	sum := sha256.Sum256([]byte(accountName(name, host)))
	return filepath.Join(notesDir, hex.EncodeToString(sum[:16]))
}

// noteEffects is that something is noted of an account.
func noteEffects(name, at string) []host.Effect {
	list := []host.Effect{host.Open(host.Files, notePath(name, at))}
	for _, dir := range []string{keyPath, notesDir, stateDir, filepath.Dir(stateDir)} {
		list = append(list, host.Effect{Key: host.File(dir), State: host.Possible})
	}
	return list
}

// noteSum is what a note holds.
func noteSum(key []byte, a *account, password string) string {
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%q %q %q %q", a.name, strings.ToLower(a.host), a.auth(), password)
	return hex.EncodeToString(mac.Sum(nil))
}

// noted reports whether muster has noted that it has set this password, and the server
// still has what it made of it.
func noted(ctx context.Context, v *host.View, a *account, password string) (bool, error) {
	key, err := v.ReadFile(ctx, keyPath, noteLimit)
	if gone(err) || errors.Is(err, host.ErrNotYet) { // no key, so that nothing is noted
		return false, nil
	}
	if err != nil {
		return false, err
	}
	note, err := v.ReadFile(ctx, notePath(a.name, a.host), noteLimit)
	if gone(err) {
		return false, nil
	}
	return err == nil && hmac.Equal([]byte(firstLine(string(note))), []byte(noteSum(key, a, password))), err
}

// firstLine is the sum in a note.
func firstLine(note string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(note), "\n")
	return line
}

// keepNote notes that a password was set, by a session that is marked; nil where it was set
// before, whose mark stays.
func keepNote(a *account, password string, by *mark) error {
	d, err := host.MakeDirs(notesDir, 0o700)
	if err != nil {
		return err
	}
	d.Close()
	key, err := os.ReadFile(keyPath)
	if gone(err) {
		key = make([]byte, 32)
		_, _ = rand.Read(key)
		err = host.Put(keyPath, key, 0o600)
	}
	if err != nil {
		return err
	}
	text := noteSum(key, a, password) + "\n"
	if by == nil {
		before, err := os.ReadFile(notePath(a.name, a.host))
		if err != nil && !gone(err) {
			return err
		}
		if m, ok := notedMark(string(before)); ok {
			by = &m
		}
	}
	if by != nil {
		text += by.String() + "\n"
	}
	return host.Put(notePath(a.name, a.host), []byte(text), 0o600)
}

// proof finds out by a login whether an account has a password.
func (a *account) proof(ctx context.Context, all *accounts, dial dialer, password string, known *proofs) (proof, error) {
	var login func() (proof, error)
	if all.reachable(a) {
		login = func() (proof, error) { return try(ctx, dial, a, password) }
	}
	return known.of(a, password, login)
}

// prove proves the passwords that an account is to have by now, and notes them.
func (s *server) prove(ctx context.Context, h *host.Host, name, at string, p passwords, known *proofs, by *mark) error {
	all, err := s.accounts(ctx, nil)
	if err != nil {
		return err
	}
	a := all.find(name, at)
	if a == nil {
		return errGone
	}
	for _, password := range p.list() {
		if password == p.old && a.plugin() == ed25519Plugin {
			continue // its second password takes a client that changes the plugin twice
		}
		said, err := a.proof(ctx, all, h.Dial, password, known)
		if err != nil {
			return err
		}
		if said == wrong {
			return errors.New("the server refuses the password that it was just given: it may be one that its plugin can't tell, or a letter in it that it doesn't know")
		}
	}
	// Also where a login has proved it: another account may be in its way by the next run.
	return keepNote(a, p.noted(), by)
}
