package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"strings"
	"syscall"
)

// Dial connects to what answers on a socket of this host, to ask it what only reads:
// "unix:/run/docker.sock", "tcp:127.0.0.1:3306". Where a key that the answers
// depend on is pending, or nobody listens yet whom a pending change may bring, it is
// ErrNotYet.
func (v *View) Dial(ctx context.Context, address string, reads ...Key) (net.Conn, error) {
	for _, key := range reads {
		if err := v.open(key); err != nil {
			return nil, err
		}
	}
	conn, err := v.h.Dial(ctx, address)
	if err == nil || !v.Pending() || !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, syscall.ECONNREFUSED) {
		return conn, err
	}
	if v.Tainted() {
		return nil, fmt.Errorf("what answers on %s is %w", address, ErrNotYet)
	}
	// Who would listen there may come with a package, whose effects are possible ones.
	ask := reads
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		ask = append(ask[:len(ask):len(ask)], File(path))
	}
	for _, key := range ask {
		if _, _, open, notYet := v.Look(key); notYet != nil {
			return nil, notYet
		} else if open {
			return nil, NotYet(key)
		}
	}
	return nil, err
}

// Dial connects to what answers on a socket of this host.
func (h *Host) Dial(ctx context.Context, address string) (net.Conn, error) {
	network, addr, ok := strings.Cut(address, ":")
	if !ok || network != "unix" && network != "tcp" {
		return nil, fmt.Errorf("%q begins neither with unix: nor with tcp: as an address has to", address)
	}
	if h.Dialer != nil {
		return h.Dialer(ctx, network, addr)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, addr)
}
