package remote

import "muster/internal/wire"

// renew renews a rotation at once, whatever is being made here.
func (s *server) renew(m *wire.Renew) {
	by, err := s.o.Renew(m.Secret, m.By)
	answer := &wire.Renewed{By: by}
	if err != nil {
		answer.Error = err.Error()
	}
	_ = s.conn.Send(&wire.Message{Renewed: answer})
}
