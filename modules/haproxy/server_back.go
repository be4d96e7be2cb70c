package haproxy

import (
	"context"
	"fmt"

	"muster/host"
)

// PutServer takes back what was set of a server.
type PutServer struct {
	Backend string   `json:"backend"`
	Server  string   `json:"server"`
	Set     standing `json:"set"` // what is taken back
	Back    standing `json:"back"`
}

// Type is "haproxy.server.back/1".
func (*PutServer) Type() string { return "haproxy.server.back/1" }

// Describe names the server.
func (p *PutServer) Describe() host.Description {
	return (&SetServer{Backend: p.Backend, Server: p.Server, From: p.Set, To: p.Back, Why: "as it was before"}).Describe()
}

// Effects is the server, and what is noted of it.
func (p *PutServer) Effects() []host.Effect {
	return (&SetServer{Backend: p.Backend, Server: p.Server, To: p.Back}).Effects()
}

// Apply puts the server back to how it was, unless somebody else has set it since.
func (p *PutServer) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	c, err := takeControl(ctx, h, wall{}, p.Backend, p.Server)
	if err != nil {
		return host.Result{}, err
	}
	r, err := c.look(ctx)
	if err != nil {
		return host.Result{}, err
	}
	probed := p.Back.State == maint && p.Set.State == ready
	if state := r.forced(); state != p.Set.State && state != p.Back.State && !(probed && state == drain) {
		return host.Result{}, fmt.Errorf("server %s/%s: %w", p.Backend, p.Server, host.ErrMoved)
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	back := p.Back
	if r.Weight != p.Set.Weight {
		back.Weight = r.Weight // somebody else's
	}
	back.Agent = back.Agent && r.hasAgent()
	if err := c.set(ctx, back); err != nil {
		return host.Result{}, fmt.Errorf("server %s/%s: %w", p.Backend, p.Server, err)
	}
	if err := keepNote(p.Back.Taken, p.Backend, p.Server); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, h.At("put the server back")
}
