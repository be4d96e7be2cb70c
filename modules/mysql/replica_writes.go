package mysql

import (
	"context"
	"fmt"
	"regexp"

	"muster/host"
	"muster/modules"
)

// What is written to a replica besides what its primary has is a transaction of its own: its
// history parts from the primary's (it is errant), and nothing says so, since root may write to
// a server that is read_only. So kinds that write plan nothing on a replica. What they find
// there already, because it was replicated, is as good as anywhere; and a server that becomes a
// replica by a later task of the same run isn't one yet: its own data goes then, or is refused.

// notOnReplica returns what a kind has planned that writes, and an error in its place where the
// server replicates from another.
func notOnReplica(ctx context.Context, v *host.View, plan modules.Plan, err error) (modules.Plan, error) {
	if err != nil || len(plan.Changes) == 0 || plan.Changes[0].Describe().Action == host.Check {
		return plan, err
	}
	from, err := sourceOf(ctx, v)
	if err != nil || from == "" {
		return plan, err
	}
	return modules.Plan{}, fmt.Errorf("this host's server replicates from %s: a write here would be a transaction that its primary lacks (errant). Write it for the primary alone, from where it is replicated", from)
}

// sourceOf is whom the server replicates from, as pending changes leave it; "" for nobody.
func sourceOf(ctx context.Context, v *host.View) (string, error) {
	value, laid, _, err := v.Look(sourceKey)
	switch {
	case err != nil:
		return "", err
	case laid && value == nil:
		return "", nil
	case laid:
		var to link
		err := host.Unmarshal(value, &to)
		return fmt.Sprintf("%s:%d", to.Host, to.Port), err
	}
	return host.Once(v, "mysql source", func() (string, error) {
		return asking(ctx, v, func(s *server) (string, error) { return s.source(ctx) })
	})
}

// unlogged are statements that no server writes into its binary log: they are about the server
// itself.
var unlogged = regexp.MustCompile(`(?i)^\s*(set\s+(@@)?(global|session|local|persist|persist_only)\b|(stop|start)\s+(all\s+)?(slave|slaves|replica|replicas|group_replication)\b|change\s+(master|replication)\b|reset\b|purge\b|kill\b|show\b|(flush|analyze|optimize|repair)\s+(no_write_to_binlog|local)\b)`)
