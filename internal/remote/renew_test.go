package remote

import (
	"errors"
	"testing"

	"muster/internal/wire"
)

// A rotation is renewed without a session, and so without the host's lock, which a run of
// whoever renews it may have.
func TestRotationIsRenewedWithoutASession(t *testing.T) {
	s := ask(t, Options{Renew: func(secret, by string) (string, error) {
		if secret != "mysql/app" {
			return "", errors.New("nothing is noted of " + secret)
		}
		return "not " + by, nil
	}})
	for secret, want := range map[string]wire.Renewed{
		"mysql/app": {By: "not ann"},
		"redis/app": {Error: "nothing is noted of redis/app"},
	} {
		if m := s.ask(&wire.Message{Renew: &wire.Renew{Secret: secret, By: "ann"}}); m == nil || m.Renewed == nil || *m.Renewed != want {
			t.Errorf("%s: it answers %+v, want %+v", secret, m, want)
		}
	}
	if err := s.close(); err != nil {
		t.Error(err)
	}
}
