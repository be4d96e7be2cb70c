package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"

	"filippo.io/age"
	"github.com/fxamacker/cbor/v2"

	"muster/internal/wire"
)

// edit is what takes an edit back, as it is kept: one of missing, steps and sealed.
type edit struct {
	missing       string
	steps, sealed []byte
}

// seal makes an edit ready to be kept. All of it is sealed where there is
// someone to seal to: not only what stood there, which may hold passwords, but
// its sum too, against which passwords could be tried. Its error is a defect
// of the program.
func (j *Journal) seal(u *wire.Undo) (edit, error) {
	if u.Missing != "" {
		return edit{missing: u.Missing}, nil
	}
	if len(u.Steps) == 0 {
		return edit{missing: "nothing takes it back"}, nil
	}
	former := false
	for _, s := range u.Steps {
		if len(s.Former) > wire.FormerLimit {
			return edit{missing: fmt.Sprintf("%d bytes stood there, and more than %d aren't kept", len(s.Former), wire.FormerLimit)}, nil
		}
		former = former || len(s.Former) > 0
	}
	if former && len(j.recipients) == 0 {
		return edit{missing: "there was no identity to seal what stood there to"}, nil
	}
	steps, err := cbor.Marshal(u.Steps)
	if err != nil {
		return edit{}, fmt.Errorf("writing the journal: %w", err)
	}
	if len(j.recipients) == 0 {
		return edit{steps: steps}, nil
	}
	var b bytes.Buffer
	w, err := age.Encrypt(&b, j.recipients...)
	if err == nil {
		_, err = w.Write(steps)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		return edit{missing: "it couldn't be sealed: " + err.Error()}, nil
	}
	return edit{sealed: b.Bytes()}, nil
}

// Undo returns what takes the edits of a task back, in the order in which they
// were made; of those that weren't kept, Missing says why. Of sealed ones the
// error is that of age where no identity opens them. The run's id is a whole one.
func (j *Journal) Undo(run, host, task string, identities ...age.Identity) (_ []wire.Undo, err error) {
	defer func() { err = j.explain("reading", err) }()
	rows, err := j.db.QueryContext(context.Background(), `SELECT e.target, coalesce(e.missing, ''), e.steps, e.sealed FROM edits e
		JOIN tasks t ON t.id = e.task JOIN hosts h ON h.id = t.host JOIN runs r ON r.seq = h.run
		WHERE r.id = ? AND h.name = ? AND t.task = ? ORDER BY e.id`, run, host, task)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, rows.Close()) }()
	var list []wire.Undo
	for rows.Next() {
		u := wire.Undo{ID: task}
		var steps, sealed []byte
		if err := rows.Scan(&u.Target, &u.Missing, &steps, &sealed); err != nil {
			return nil, err
		}
		if sealed != nil {
			if steps, err = unseal(sealed, identities); err != nil {
				return nil, fmt.Errorf("opening what takes %s of %s on %s back: %w", task, run, host, err)
			}
		}
		if u.Missing == "" {
			if err := cbor.Unmarshal(steps, &u.Steps); err != nil {
				return nil, damaged("what takes %s of %s on %s back: %w", task, run, host, err)
			}
		}
		list = append(list, u)
	}
	return list, rows.Err()
}

func unseal(sealed []byte, identities []age.Identity) ([]byte, error) {
	if len(identities) == 0 {
		return nil, errors.New("it is sealed, and there is no identity to open it with")
	}
	r, err := age.Decrypt(bytes.NewReader(sealed), identities...)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}
