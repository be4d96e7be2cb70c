package host

import (
	"context"
	"fmt"
	"net"
	"os"
	"strings"
)

// Scratch makes a private folder for what a plan has to hand to a program (a
// copy that is validated) and returns it with the function that removes it.
// It lies in memory where the host has such a place: planning writes nowhere
// else.
func (v *View) Scratch() (dir string, remove func(), err error) {
	for _, parent := range []string{"/run", "/dev/shm", os.TempDir()} {
		if dir, err = os.MkdirTemp(parent, "muster-plan-"); err == nil {
			return dir, func() { _ = os.RemoveAll(dir) }, nil
		}
	}
	return "", nil, fmt.Errorf("making a private folder to plan in: %w", err)
}

// Dial connects to a socket of the host ("unix:/run/x.sock", "tcp:127.0.0.1:80"),
// to read from what listens there. Where one of the keys that this depends on
// is pending, the answer is ErrNotYet.
func (v *View) Dial(ctx context.Context, address string, reads ...Key) (net.Conn, error) {
	for _, key := range reads {
		if err := v.open(key); err != nil {
			return nil, err
		}
	}
	network, addr, ok := strings.Cut(address, ":")
	if !ok {
		return nil, fmt.Errorf("%q begins neither with unix: nor with tcp: as an address has to", address)
	}
	return new(net.Dialer).DialContext(ctx, network, addr)
}
