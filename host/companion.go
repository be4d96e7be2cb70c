package host

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
)

// Companions is what a task may ask of its companions: the other hosts that it needs.
// The run answers it.
type Companions interface {
	// Output is what a companion's plan has told, JSON. It is ErrNotYet while pending
	// changes on that host leave that open.
	Output(host string) (json.RawMessage, error)
	// Receive asks a companion to send, and returns what it sends; see Host.Receive.
	Receive(ctx context.Context, host string, request json.RawMessage) (io.ReadCloser, error)
}

// Companion decodes into to what the plan of the task's companion on another host has
// told. Where pending changes there leave that open it is ErrNotYet.
func (v *View) Companion(host string, to any) error {
	if v.h.Companions == nil {
		return fmt.Errorf("the task has no companion on %s", host)
	}
	data, err := v.h.Companions.Output(host)
	if err != nil {
		return err
	}
	if err := Unmarshal(data, to); err != nil {
		return fmt.Errorf("what %s tells: %w", host, err)
	}
	return nil
}

// Receive has the task's companion on another host send what request asks for, and
// returns it as it comes, straight from that host. Reading ends with io.EOF only where the
// sender has said that it has sent all of it without an error; any other end is an error.
// Whoever reads closes it; who doesn't read for some seconds is given up by the sender.
// Only a change may receive, and only while it is made.
func (h *Host) Receive(ctx context.Context, host string, request any) (io.ReadCloser, error) {
	if h.Companions == nil {
		return nil, fmt.Errorf("the task has no companion on %s", host)
	}
	data, err := Marshal(request)
	if err != nil {
		return nil, err
	}
	return h.Companions.Receive(ctx, host, data)
}
