package account

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"muster/host"
)

// noKeys reports whether something stands there that isn't keys: lines, and no
// key among them.
func noKeys(content string) bool {
	lines := 0
	for line := range strings.Lines(content) {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		if _, err := parseKey(line); err == nil {
			return false
		}
		lines++
	}
	return lines > 0
}

// readable returns why sshd would refuse every line of a key: by the options
// that stand before it. Those that the task gives are checked before.
func (f keyFile) readable(ctx context.Context, v *host.View, lines []publicKey) error {
	why := map[string]error{}
	for _, k := range lines {
		id := k.kind + " " + k.blob
		o, err := readOptions(k.options)
		if err == nil {
			err = checkServices(ctx, v, o.services)
		}
		if before, seen := why[id]; !seen || before != nil {
			why[id] = err // one line that sshd can read will do
		}
	}
	for _, k := range lines {
		if err := why[k.kind+" "+k.blob]; err != nil {
			return fmt.Errorf("sshd refuses the line of the key %s in %s, %s: %w; give the task other options, \"\" for none", k.short(), f.path(), k.withOptions(), err)
		}
	}
	return nil
}

// checkServices refuses ports by a name that the host doesn't know.
func checkServices(ctx context.Context, v *host.View, names []string) error {
	if len(names) == 0 {
		return nil
	}
	data, err := v.ReadFile(ctx, "/etc/services", 4<<20)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	known := map[string]bool{}
	for line := range strings.Lines(string(data)) {
		line, _, _ = strings.Cut(line, "#")
		if words := strings.Fields(line); len(words) > 1 && strings.HasSuffix(words[1], "/tcp") {
			known[words[0]] = true
			for _, alias := range words[2:] {
				known[alias] = true
			}
		}
	}
	for _, name := range names {
		if !known[name] {
			return fmt.Errorf("%q is no port, nor the name of one in /etc/services: write the number", name)
		}
	}
	return nil
}
