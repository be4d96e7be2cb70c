package engine

import (
	"bytes"
	"encoding/json"

	"muster/host"
)

// redacted is changes as they may be kept: the host has hidden what it knew to
// be secret, the controller may know more.
func (r *Run) redacted(list []host.Description) []host.Description {
	var out []host.Description
	for _, d := range list {
		d.Target, d.Diff, d.Impact = r.o.Redact.Redact(d.Target), r.o.Redact.Redact(d.Diff), r.o.Redact.Redact(d.Impact)
		out = append(out, d)
	}
	return out
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
		for k := range x {
			x[k] = r.redactedValue(x[k])
		}
	}
	return x
}
