package memcached

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"

	"muster/host"
)

// process is the process that is Memcached: its unit's main one, or one below that. Debian's
// wrapper has a shell start it where a line has a character that means something to one,
// such as the brackets of an IPv6 address.
func process(ctx context.Context, h *host.Host) (int, error) {
	has, err := state(ctx, h)
	if err != nil {
		return 0, err
	}
	for list := []string{has["MainPID"]}; len(list) > 0; list = list[1:] {
		exe, err := os.Readlink("/proc/" + list[0] + "/exe")
		if err == nil && filepath.Base(strings.TrimSuffix(exe, " (deleted)")) == "memcached" {
			return strconv.Atoi(list[0])
		}
		below, _ := os.ReadFile("/proc/" + list[0] + "/task/" + list[0] + "/children")
		list = append(list, strings.Fields(string(below))...)
	}
	return 0, fmt.Errorf("%s has no process of Memcached", unit)
}

// readAgain has Memcached read who is let in: on SIGHUP (memcached(1), -Y).
func readAgain(ctx context.Context, h *host.Host) error {
	pid, err := process(ctx, h)
	if err != nil {
		return err
	}
	if err := syscall.Kill(pid, syscall.SIGHUP); err != nil {
		return fmt.Errorf("having Memcached read who is let in: %w", err)
	}
	return nil
}

// state is what systemd has of the unit.
func state(ctx context.Context, h *host.Host) (map[string]string, error) {
	out, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", "show", "--property=ActiveState,Result,NRestarts,MainPID", "--", unit}})
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for line := range strings.Lines(string(out.Stdout)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		all[name] = value
	}
	return all, nil
}

// errEnded is a Memcached that ended after its start: it won't answer any more.
var errEnded = errors.New("the server ended at once after its start")

// ended returns errEnded where systemd says so. One that it has started again has ended, too.
func ended(ctx context.Context, h *host.Host) error {
	has, err := state(ctx, h)
	if err != nil {
		return err
	}
	if has["ActiveState"] == "failed" || has["ActiveState"] == "inactive" || has["NRestarts"] != "" && has["NRestarts"] != "0" {
		return errEnded
	}
	return nil
}
