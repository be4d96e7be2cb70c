package launch

import (
	"errors"
	"fmt"
)

// A login may have its remote in place: its authorized_keys line forces a command that
// says so, with the remote's SHA-256, and runs it. Such a login is sent no program and no
// script, since it would run whatever whoever has its key sends.

// inPlace begins the line that a forced command prints before it runs its remote.
const inPlace = "muster-in-place"

// ErrOther is a login that has the remote of another muster in place. Trying the same
// again doesn't help.
var ErrOther = errors.New("the login has the remote of another muster in place")

// placed takes a remote that is in place, where it is one of this muster's.
func (l *launch) placed(sum string) (*Remote, error) {
	for _, arch := range l.o.Binaries.Arches() {
		b, err := l.o.Binaries.Open(arch)
		if err != nil {
			return nil, fmt.Errorf("opening the remote for %s: %w", arch, err)
		}
		if b.Sum == sum {
			return &Remote{Stdin: l.p.Stdin, Stdout: l.rest(), Sum: sum, InPlace: true}, nil
		}
	}
	return nil, fmt.Errorf("%w (SHA-256 %.12s): put this one's there with \"muster schedule install\"", ErrOther, clean(sum))
}
