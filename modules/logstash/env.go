package logstash

import (
	"context"
	"maps"
	"slices"
	"strings"

	"muster/host"
)

// environment is what systemd gives Logstash's process: by name.
func environment(ctx context.Context, v *host.View) (map[string]string, error) {
	env := map[string]string{}
	for _, path := range envPaths() {
		data, err := v.ReadFile(ctx, path, fileLimit)
		if gone(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		for line := range strings.Lines(string(data)) {
			line = strings.TrimSpace(line)
			name, value, ok := strings.Cut(line, "=")
			if !ok || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
				continue
			}
			env[strings.TrimSpace(name)] = unquoted(strings.TrimSpace(value))
		}
	}
	out, err := v.Query(ctx, host.Command{Argv: []string{"systemctl", "show", "--property=Environment", "--value", "--", unit}}, asked...)
	if err != nil {
		return nil, err
	}
	for _, word := range strings.Fields(string(out.Stdout)) {
		if name, value, ok := strings.Cut(word, "="); ok && env[name] == "" {
			env[strings.Trim(name, `"`)] = strings.Trim(value, `"`)
		}
	}
	return env, nil
}

// unquoted is a value of such a file without the quotes around it.
func unquoted(value string) string {
	if n := len(value); n > 1 && (value[0] == '"' || value[0] == '\'') && value[n-1] == value[0] {
		return value[1 : n-1]
	}
	return value
}

// pairs are an environment as a program gets it.
func pairs(env map[string]string) (list []string) {
	for _, name := range slices.Sorted(maps.Keys(env)) {
		list = append(list, name+"="+env[name])
	}
	return list
}
