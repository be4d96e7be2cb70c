package mysql

import (
	"context"
	"errors"

	"muster/host"
)

// provisioning is what is known when a replica is to be given its primary's data.
type provisioning struct {
	view    *host.View
	primary string
	donor   *DonorOutput
	// own is what the replica has; nil where its server doesn't run, since a copy was cut off.
	own *replica
}

// leftOver names what a copy that was cut off has left; "" if there is none.
func (r *Replication) leftOver(context.Context, *host.View) (string, error) { return "", nil }

// provision returns the changes that bring the primary's data and leave a server that has it and
// knows its GTID position.
func (r *Replication) provision(context.Context, *provisioning) ([]host.Change, error) {
	return nil, errors.New("copying the primary's data isn't there yet: give method = \"logs\"")
}
