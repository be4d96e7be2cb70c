package engine

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"muster/internal/wire"
	"muster/transport"
)

// Facts connects to a host only to ask what it is.
func Facts(ctx context.Context, connect Connector, host string) (json.RawMessage, error) {
	stream, err := connect(ctx, host, Start{})
	if err != nil {
		return nil, err
	}
	defer stream.Close()
	m, err := wire.NewConn(stream, stream).Receive()
	if err != nil {
		return nil, fmt.Errorf("%s: the remote didn't start: %w", host, because(err, stream))
	}
	if m.Hello == nil || !json.Valid(m.Hello.Facts) {
		return nil, fmt.Errorf("%s: what answers there isn't this muster's remote", host)
	}
	return m.Hello.Facts, nil
}

// IsUnreachable reports whether a host wasn't let in to at all.
func IsUnreachable(err error) bool {
	var u *transport.UnreachableError
	return errors.As(err, &u)
}

// Worse returns the error that weighs more: one after login.
func Worse(a, b error) error {
	if a == nil || IsUnreachable(a) && !IsUnreachable(b) {
		return b
	}
	return a
}
