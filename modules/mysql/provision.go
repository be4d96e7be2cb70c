package mysql

import (
	"context"
	"fmt"

	"muster/host"
)

// provisioning is what is known when a replica is to be given its primary's data.
type provisioning struct {
	view    *host.View
	primary string
	donor   *DonorOutput
	// state is the one that the replica is in.
	state state
	// own is what the replica has; nil where its server doesn't run, since a copy was cut off.
	own *replica
}

// leftOver names what a copy that was cut off has left; "" if there is none, and where the
// copy is in place at its position: the server is then as any other that has replicated
// from the primary before. Its end is still to come (endCopy).
func (r *Replication) leftOver(ctx context.Context, v *host.View) (string, error) {
	left, err := leftOver(ctx, v)
	if err != nil || left == nil || left.State == placed {
		return "", err
	}
	return left.String(), nil
}

// provision returns the changes that bring the primary's data and leave a server that runs,
// has it and knows its GTID position, and what the user should know of them. The change
// that makes it a replica comes behind them, and behind that what endCopy returns.
func (r *Replication) provision(ctx context.Context, p *provisioning) ([]host.Change, []string, error) {
	c := &copyPlan{primary: p.primary, address: r.Address, port: r.Port, method: r.Method, donor: *p.donor}
	if c.address == "" {
		c.address = p.primary
	}
	if c.port == 0 {
		c.port = p.donor.Port
	}
	var err error
	if c.left, err = leftOver(ctx, p.view); err != nil {
		return nil, nil, err
	}
	if p.own != nil {
		if c.here, err = readRecipient(ctx, p.view); err != nil {
			return nil, nil, err
		}
		// Of a server that replicates already p.own doesn't tell them.
		if c.own, err = asking(ctx, p.view, func(s *server) ([]SchemaSize, error) { return s.schemas(ctx) }); err != nil {
			return nil, nil, err
		}
	} else if c.left != nil {
		c.here.from(&c.left.copyNote)
	}
	list, notes, err := c.changes()
	if len(list) > 0 {
		if first, ok := list[0].(interface{ because(state) }); ok {
			first.because(p.state)
		}
	}
	return list, notes, err
}

// inState is a change that gives a replica its data, since it is in a state. The state alone is
// planned with: what tells it moves all the time, and is a note.
type inState struct {
	State state `json:"state,omitempty"`
}

func (s *inState) because(is state) { s.State = is }

// text is added to what the change says of itself.
func (s inState) text() string {
	if s.State == "" {
		return ""
	}
	return fmt.Sprintf("; the replica's state is %q", s.State)
}

// endCopy returns what ends a copy once the server is a replica: where changes, those of
// the plan up to there, bring one, or an earlier run was cut before its end.
func (r *Replication) endCopy(ctx context.Context, v *host.View, changes []host.Change) ([]host.Change, error) {
	left, err := leftOver(ctx, v)
	if err != nil {
		return nil, err
	}
	return (&copyPlan{left: left}).end(changes), nil
}
