package redis

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"muster/host"
	"muster/modules"
)

// valid has Redis's own program read the settings, which starts nothing: behind them comes
// a line that it doesn't know.
func (p *planner) valid(ctx context.Context) error {
	var lines []string
	var from []option
	for _, o := range p.want {
		if o.name == "logfile" || o.name == "unixsocket" || strings.HasPrefix(o.name, "syslog-") { // it would make that
			continue
		}
		for _, line := range linesOf(o.name, o.value) {
			lines, from = append(lines, line), append(from, o)
		}
	}
	at, why, err := refused(ctx, p.v, p.program, lines)
	if err != nil || why == "" {
		return err
	}
	e := modules.ArgError{Summary: "Redis doesn't take this", Detail: fmt.Sprintf("%s: %s", from[at].name, why)}
	e.Arg, e.Path = p.place(from[at].name)
	return e
}

// refused asks Redis's program whether it takes lines of a file: the first that it doesn't,
// and why.
func refused(ctx context.Context, v *host.View, program string, lines []string) (at int, why string, err error) {
	if len(lines) == 0 {
		return 0, "", nil
	}
	out, err := v.Query(ctx, host.Command{Argv: []string{program, "-", "--muster-asks", "yes"}, Stdin: strings.NewReader(strings.Join(lines, "\n") + "\n")}, append(slices.Clone(asked[:2]), host.File(program))...)
	if err != nil {
		return 0, "", err
	}
	said := string(out.Stdout) + string(out.Stderr)
	_, said, found := strings.Cut(said, "at line ")
	if !found {
		return 0, "", nil // its words are others: it will tell when it is set
	}
	number, rest, _ := strings.Cut(said, "\n")
	n, err := strconv.Atoi(strings.TrimSpace(number))
	if err != nil || n < 1 || n > len(lines) {
		return 0, "", nil
	}
	_, why, _ = strings.Cut(rest, "\n")
	return n - 1, strings.TrimSpace(why), nil
}
