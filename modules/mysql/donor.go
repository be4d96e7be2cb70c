package mysql

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"muster/host"
	"muster/modules"
)

// The ways in which a replica is given its primary's data.
const (
	byAuto   = "auto"
	byClone  = "clone"  // MySQL's plugin: the replica's server copies the primary's files itself
	byBackup = "backup" // mariadb-backup: the primary's files, as they are
	byDump   = "dump"   // statements that make everything anew
)

// Donor is what a replica needs of its primary: the companion of mysql_replication. It
// tells what the primary is and holds, and sends it.
type Donor struct {
	// How data may be sent: nothing is sent in another way.
	Method string `arg:"method" oneof:"auto clone backup dump logs" default:"auto"`
}

// May is nothing: a donor is only asked.
func (*Donor) May() []host.Effect { return []host.Effect{} }

// Plan tells what the server is and holds.
func (d *Donor) Plan(ctx context.Context, v *host.View) (plan modules.Plan, err error) {
	if err := settledRole(v); err != nil {
		return plan, err
	}
	o, err := readDonor(ctx, v)
	if err != nil {
		return plan, err
	}
	o.Accounts = len(v.Laid(users)) > 0
	plan.Output, err = host.Marshal(o)
	return plan, err
}

// donorRequest is what a replica asks of its donor.
type donorRequest struct {
	Method string `json:"method"`
	// Lock lets a dump lock all tables against writing while it lasts: those that aren't
	// transactional have no other moment at which all of them hold still.
	Lock bool `json:"lock,omitempty"`
}

// Send sends the data in the way that is asked for.
func (d *Donor) Send(ctx context.Context, h *host.Host, request json.RawMessage, w io.Writer) error {
	var r donorRequest
	if err := host.Unmarshal(request, &r); err != nil {
		return fmt.Errorf("what is asked of the donor: %w", err)
	}
	if r.Method != d.Method && d.Method != byAuto {
		return fmt.Errorf("the task lets the donor send by %s, and not by %q", d.Method, r.Method)
	}
	s, err := acting(ctx, h)
	if err != nil {
		return err
	}
	defer s.Close()
	send := map[string]func(context.Context, *host.Host, *server, donorRequest, io.Writer) error{
		byBackup: sendBackup, byDump: sendDump, byClone: sendClone,
	}[r.Method]
	if send == nil {
		return fmt.Errorf("a donor can't send by %q", r.Method)
	}
	return send(ctx, h, s, r, w)
}
