package remote

import (
	"context"
	"os/user"
	"strconv"

	"muster/host"
	"muster/internal/remote/trace"
	"muster/internal/wire"
)

// trace tells what the host knows of who altered what tasks would put right. It only
// looks, so that a login that only plans may ask, too.
func (s *server) trace(ctx context.Context, q *wire.Trace) error {
	tasks := make([][]host.Key, len(q.IDs))
	for i, id := range q.IDs {
		if t := s.session.tasks[id]; t != nil {
			tasks[i] = keysOf(t.effects)
		}
	}
	h := trace.Host{Run: s.session.Host.Runner, User: userName}
	known := h.Of(ctx, tasks)
	for _, list := range known {
		for i := range list {
			list[i] = s.session.redact.Redact(list[i])
		}
	}
	return s.conn.Send(&wire.Message{Traced: &wire.Traced{Known: known}})
}

func userName(uid uint32) string {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return ""
	}
	return u.Username
}
