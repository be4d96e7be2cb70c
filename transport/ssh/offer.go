package ssh

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"

	"muster/transport"
)

// offer is what becomes of the keys that a login offers. x/crypto gives a
// method up where a key doesn't sign, as when the agent's question for it is
// denied; the keys after it are then offered by a second try of the method, in
// the same connection.
type offer struct {
	begun    bool
	from     int          // keys before this one have had their turn
	done     map[int]bool // keys that the server would take, and that are not to be asked for again
	lost     bool         // the method was given up because a key didn't sign
	unsigned []string     // keys that the server would take, and why they didn't sign
	signed   []string     // keys that did
	partly   int          // how often the server took a key and asked for more
	more     []string     // what it asked for
	password bool         // the password was tried
}

// untold reports whether the server said nothing against the keys: it would
// have taken one.
func (o *offer) untold() bool { return len(o.unsigned) > 0 || o.partly > 0 }

// next is an ssh.ClientAuthCallback. It chooses public keys, and again where a
// key didn't sign or wasn't enough, while others are left.
func (l *login) next(ctx context.Context, a *ssh.ClientAuthContext) (ssh.AuthMethod, error) {
	o := &l.offer
	again := o.lost
	o.lost = false
	if n := len(a.PartialSuccessMethods); n > o.partly {
		o.partly, o.more = n, a.AllowedMethods
		o.from, again = 0, true
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if !slices.Contains(a.AllowedMethods, "publickey") {
		return l.password(a), nil
	}
	if !o.begun {
		o.begun = true
		return ssh.PublicKeysCallback(func() ([]ssh.Signer, error) { return l.onAuth(ctx) }), nil
	}
	if left := l.offered(ctx); again && len(left) > 0 {
		return ssh.PublicKeys(left...), nil
	}
	return l.password(a), nil
}

// password is the method that logs in with the password, nil where there is none or the
// server takes none.
func (l *login) password(a *ssh.ClientAuthContext) ssh.AuthMethod {
	if l.d.opts.Password == nil || l.offer.password {
		return nil
	}
	word, ok := l.d.opts.Password(l.h.name)
	if !ok {
		return nil
	}
	l.offer.password = true
	switch {
	case slices.Contains(a.AllowedMethods, "password"):
		return ssh.Password(word)
	case slices.Contains(a.AllowedMethods, "keyboard-interactive"):
		return ssh.KeyboardInteractive(func(_, _ string, questions []string, shown []bool) ([]string, error) {
			answers := make([]string, len(questions))
			for i := range answers {
				if !shown[i] { // what is to be seen isn't the password
					answers[i] = word
				}
			}
			return answers, nil
		})
	}
	return nil
}

// offered are the keys that haven't had their turn.
func (l *login) offered(ctx context.Context) []ssh.Signer {
	var list []ssh.Signer
	for i, s := range l.ring.signers {
		if i < l.offer.from || l.offer.done[i] {
			continue
		}
		algorithms, ok := s.(ssh.AlgorithmSigner)
		if !ok {
			list = append(list, s)
			continue
		}
		k := offeredKey{algorithms, l, ctx, i}
		if multi, ok := s.(ssh.MultiAlgorithmSigner); ok {
			list = append(list, limitedKey{k, multi.Algorithms()})
		} else {
			list = append(list, k)
		}
	}
	return list
}

// offeredKey is a key of a login. It is asked to sign when the server would
// take it.
type offeredKey struct {
	ssh.AlgorithmSigner
	l   *login
	ctx context.Context // the login's; x/crypto passes none
	at  int             // in the key ring
}

// SignWithAlgorithm implements ssh.AlgorithmSigner. The time that an agent takes
// isn't the server's.
func (k offeredKey) SignWithAlgorithm(rand io.Reader, data []byte, algorithm string) (sig *ssh.Signature, err error) {
	k.l.pause()
	defer k.l.enter(transport.StageAuthentication, k.l.d.opts.Timeouts.Login)
	if held, ok := k.AlgorithmSigner.(*agentKey); ok {
		sig, err = held.signFor(k.ctx, data, algorithm)
	} else {
		sig, err = k.AlgorithmSigner.SignWithAlgorithm(rand, data, algorithm)
	}
	o, name := &k.l.offer, k.l.ring.names[k.at]
	if o.done == nil {
		o.done = map[int]bool{}
	}
	o.from, o.done[k.at] = k.at+1, true
	if err != nil {
		o.lost = true
		o.unsigned = append(o.unsigned, fmt.Sprintf("the server would take the key %s, but %v", name, err))
		return nil, err
	}
	o.signed = append(o.signed, name)
	return sig, nil
}

// limitedKey is a key that signs by some algorithms of its kind alone.
type limitedKey struct {
	offeredKey
	algorithms []string
}

// Algorithms implements ssh.MultiAlgorithmSigner.
func (k limitedKey) Algorithms() []string { return k.algorithms }

// failed says why none of the keys logged in, and what to do about it.
func (l *login) failed() (hint string, err error) {
	o := &l.offer
	var refused []string
	for i, name := range l.ring.names {
		if !o.done[i] {
			refused = append(refused, name)
		}
	}
	why, notes := "", slices.Clone(l.ring.notes)
	switch {
	case o.partly > 0:
		why = fmt.Sprintf("the server took a key and asks for more (%s)", strings.Join(o.more, ", "))
		notes = append(notes, "muster logs in with keys alone: see AuthenticationMethods in the host's sshd_config")
	case len(o.unsigned) > 0:
		why = strings.Join(o.unsigned, "; ")
		if len(refused) > 0 {
			why += "; it accepts none of the other keys " + strings.Join(refused, ", ")
		}
	case len(o.signed) > 0:
		why = "the server would take the key " + strings.Join(o.signed, ", ") + ", and refused the login with it"
		notes = append(notes, "see the host's log of sshd")
	default:
		why = "the server accepts none of the keys " + strings.Join(refused, ", ")
		notes = append(notes, "check the user's name and its authorized_keys on the host")
	}
	if len(o.unsigned) > 0 && o.partly > 0 {
		notes = append(o.unsigned, notes...)
	}
	return strings.Join(notes, "; "), errors.New("user " + l.h.user + ": " + why)
}
