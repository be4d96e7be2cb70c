package network

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"muster/host"
	"muster/modules/systemd"
)

// boot plans what loads the table when the host starts: a file, a line that reads it,
// and the service that reads that line's file.
func (n *Nftables) boot(ctx context.Context, v *host.View, text string, sensitive bool) ([]host.Change, error) {
	var changes []host.Change
	path := n.file()
	if text == "" {
		// The line first: without its file nothing would be loaded at all.
		line, err := v.Rewrite(ctx, bootFile, n.without)
		if err != nil {
			return nil, err
		}
		info, err := v.Lstat(path)
		if err == nil && info.Exists() {
			line = append(line, &host.Remove{Path: path, Before: info})
		}
		return line, err
	}
	folder, err := v.Stat(bootFolder)
	if err != nil {
		return nil, err
	}
	if !folder.Exists() {
		mode := host.Mode(0o755)
		changes = append(changes, &host.MakeDir{Path: bootFolder, Attr: host.Attr{Mode: &mode}, After: host.FileInfo{Type: host.Directory, Mode: mode, Owner: "root", Group: "root"}})
	}
	written, err := v.Rewrite(ctx, path, func(string) (string, error) { return text, nil })
	if err != nil {
		return nil, err
	}
	if sensitive {
		for _, c := range written {
			hide(c.(*host.WriteFile))
		}
	}
	changes = append(changes, written...)
	line, err := v.Rewrite(ctx, bootFile, n.with)
	if err != nil {
		return nil, err
	}
	changes = append(changes, line...)
	// Where there is no systemd, whatever starts the host there isn't muster's.
	enable, err := systemd.Enable(ctx, v, bootService)
	if err != nil && !errors.Is(err, host.ErrNotYet) {
		err = fmt.Errorf("%s can't be enabled, so that nothing would load the table at boot: %w", bootService, err)
	}
	return append(changes, enable...), err
}

// hide keeps sensitive content from others, and from the plan.
func hide(w *host.WriteFile) {
	mode := host.Mode(0o600)
	w.Content.Sensitive, w.After.Sensitive, w.Diff = true, true, "(sensitive content)"
	w.After.Mode, w.Attr.Mode = mode, &mode
}

func (n *Nftables) line() string { return fmt.Sprintf("include %q", n.file()) }

// with returns the file that is read at boot with the line that reads the table, last:
// what comes before may flush all rules.
func (n *Nftables) with(old string) (string, error) {
	if old == "" {
		return "#!" + nft + " -f\n" + n.line() + "\n", nil
	}
	lines := strings.Split(strings.TrimSuffix(old, "\n"), "\n")
	if at := slices.IndexFunc(lines, n.isLine); at >= 0 {
		flush := slices.IndexFunc(lines[at:], func(l string) bool { return strings.Contains(strings.Split(l, "#")[0], "flush ruleset") })
		if flush < 0 {
			return old, nil
		}
		lines = slices.DeleteFunc(lines, n.isLine)
	}
	return strings.Join(append(lines, n.line()), "\n") + "\n", nil
}

func (n *Nftables) without(old string) (string, error) {
	lines := strings.SplitAfter(old, "\n")
	return strings.Join(slices.DeleteFunc(lines, n.isLine), ""), nil
}

func (n *Nftables) isLine(l string) bool { return strings.TrimSpace(l) == n.line() }
