package engine

import (
	"bytes"
	"encoding/json"

	"muster/host"
)

// redacted is changes as they may be shown and kept: the host has hidden what it knew to
// be secret, the controller may know more.
func (r *Run) redacted(list []host.Description) []host.Description {
	if len(list) == 0 {
		return list
	}
	out := make([]host.Description, 0, len(list))
	for _, d := range list {
		d.Target, d.Diff, d.Impact = r.o.Redact.Redact(d.Target), r.o.Redact.Redact(d.Diff), r.o.Redact.Redact(d.Impact)
		out = append(out, d)
	}
	return out
}

// redactedError is an error as it may be shown: what it is stays.
func (r *Run) redactedError(err error) error {
	if text := r.o.Redact.Redact(err.Error()); text != err.Error() {
		return &hiddenError{text, err}
	}
	return err
}

// hiddenError is an error whose text had a secret in it.
type hiddenError struct {
	text string
	err  error
}

func (e *hiddenError) Error() string { return e.text }
func (e *hiddenError) Unwrap() error { return e.err }

// untold are secrets as a host is told them, so that it hides them: those that are spared
// here are spared there.
func (r *Run) untold(secrets []string) []string {
	var list []string
	for _, s := range secrets {
		if !r.o.Redact.Spares(s) {
			list = append(list, s)
		}
	}
	return list
}

// redactedOutput is what a task offers as it may be shown.
func (r *Run) redactedOutput(output []byte) []byte {
	if len(output) == 0 || len(r.o.Redact.Known()) == 0 {
		return output
	}
	dec := json.NewDecoder(bytes.NewReader(output))
	dec.UseNumber()
	var x any
	if dec.Decode(&x) != nil {
		return nil
	}
	clean, err := json.Marshal(r.redactedValue(x))
	if err != nil {
		return nil
	}
	return clean
}

func (r *Run) redactedValue(x any) any {
	switch x := x.(type) {
	case string:
		return r.o.Redact.Redact(x)
	case []any:
		for i := range x {
			x[i] = r.redactedValue(x[i])
		}
	case map[string]any:
		clean := make(map[string]any, len(x))
		for k, v := range x {
			clean[r.o.Redact.Redact(k)] = r.redactedValue(v)
		}
		return clean
	}
	return x
}
