package redis

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// output is what the server tells of itself.
func (p *planner) output() (json.RawMessage, error) {
	info := p.now.info
	o := Output{Version: info["redis_version"], Role: "primary", Keys: keysOf(info)}
	o.Port, _ = strconv.Atoi(p.now.vars["port"])
	if info["role"] == "slave" {
		o.Role, o.Primary, o.Link = "replica", followsNow(info), info["master_link_status"]
		o.Lag, _ = strconv.Atoi(info["master_last_io_seconds_ago"])
	}
	whole, _ := strconv.Atoi(info["master_repl_offset"])
	for i := 0; info[fmt.Sprintf("slave%d", i)] != ""; i++ {
		f := map[string]string{}
		for _, field := range strings.Split(info[fmt.Sprintf("slave%d", i)], ",") {
			name, value, _ := strings.Cut(field, "=")
			f[name] = value
		}
		r := Replica{Address: f["ip"] + ":" + f["port"], State: f["state"]}
		r.Lag, _ = strconv.Atoi(f["lag"])
		offset, _ := strconv.Atoi(f["offset"])
		r.Behind = max(0, whole-offset)
		o.Replicas = append(o.Replicas, r)
	}
	return json.Marshal(o)
}
