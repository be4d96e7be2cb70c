package engine

import (
	"context"
	"fmt"

	"muster/internal/wire"
)

// Renew lets a host know that a rotation is still in hand: that of a secret, by whoever has
// it. It begins no session, and ends the stream.
func Renew(ctx context.Context, stream Stream, secret, by string) (wire.Renewed, error) {
	defer stream.Close()
	defer context.AfterFunc(ctx, func() { _ = stream.Close() })()
	conn := wire.NewHostConn(stream, stream)
	m, err := greeting(ctx, conn, stream, 0)
	if err == nil {
		err = known(m, stream)
	}
	if err == nil {
		err = conn.Send(&wire.Message{Renew: &wire.Renew{Secret: secret, By: by}})
	}
	for err == nil {
		if m, err = conn.Receive(); err == nil && m.Renewed != nil {
			return *m.Renewed, nil
		}
	}
	if cause := context.Cause(ctx); cause != nil {
		return wire.Renewed{}, cause
	}
	return wire.Renewed{}, fmt.Errorf("renewing the rotation there: %w", because(err, stream))
}
