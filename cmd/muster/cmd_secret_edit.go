package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
	"golang.org/x/term"

	"muster/internal/vault"
)

func newSecretEdit(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "edit",
		Short: "Edit secrets in an editor",
		Long: "Edit gives the store in clear to $VISUAL or $EDITOR, in a file in memory (a tmpfs) that only you can read and that is removed afterwards; where there is no such place it refuses. " +
			"Comments of the store aren't in it, and stay. Without a change nothing is written.",
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.editStore(cmd.Context()) },
	}
}

func (a *app) editStore(ctx context.Context) error {
	s, err := a.openStore()
	if err != nil {
		return err
	}
	before, err := s.View()
	if errors.Is(err, vault.ErrRecipients) {
		return fmt.Errorf("%s: %w: \"muster secret rekey\" first", s.Path, err)
	}
	if err != nil {
		return a.storeError(err, s.Path, nil)
	}
	dir, err := memoryFolder()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "secrets.hcl")
	if err := os.WriteFile(path, before, 0o600); err != nil {
		return fmt.Errorf("laying the secrets for the editor: %w", err)
	}
	edit, err := a.edited(path, before)
	if err != nil {
		return err
	}
	if edit.Nothing() {
		fmt.Fprintln(a.out, "Nothing was changed.")
		return nil
	}
	if err := a.update(func(now *vault.Store) error { return now.Make(edit) }); err != nil {
		return err
	}
	for _, name := range slices.Concat(edit.Added, edit.Changed) {
		a.warnOfValue(ctx, name, edit.Value(name))
	}
	for _, part := range []struct {
		action string
		names  []string
	}{{"added", edit.Added}, {"changed", edit.Changed}, {"removed", edit.Removed}} {
		for _, name := range part.names {
			if err := a.did(part.action, name, 0, name+" is "+part.action+"."); err != nil {
				return err
			}
		}
	}
	return nil
}

// edited has the user edit a file until it can be read, and returns what was done.
func (a *app) edited(path string, before []byte) (*vault.Edit, error) {
	for {
		if err := a.editor(path); err != nil {
			return nil, err
		}
		after, err := os.ReadFile(path)
		if err != nil {
			return nil, fmt.Errorf("reading what was edited: %w", err)
		}
		edit, err := vault.Compare(before, after)
		if err == nil {
			return edit, nil
		}
		var diags hcl.Diagnostics
		if !errors.As(err, &diags) {
			diags = hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Wrong value", Detail: err.Error() + "."}}
		}
		a.view().Diagnostics(diags, nil) // without sources: its lines are secret
		if !term.IsTerminal(int(a.in.Fd())) {
			return nil, errShown
		}
		again, err := a.ask(context.Background(), "Edit it again?")
		if err != nil {
			return nil, err
		}
		if !again {
			return nil, exitError(exitUsage)
		}
	}
}

// editor runs the user's editor, as git does: its command may have arguments.
func (a *app) editor(path string) error {
	command := "vi"
	for _, name := range []string{"EDITOR", "VISUAL"} {
		if v := os.Getenv(name); strings.TrimSpace(v) != "" {
			command = v
		}
	}
	cmd := exec.Command("sh", "-c", command+` "$@"`, command, path)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = a.in, os.Stdout, os.Stderr
	// What ends muster must not leave the secrets behind: ^C is the editor's, and who ends
	// muster ends the editor.
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP, unix.SIGPIPE)
	defer signal.Stop(signals)
	err := cmd.Start()
	if err == nil {
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		for waiting := true; waiting; {
			select {
			case err = <-ended:
				waiting = false
			case sig := <-signals:
				if sig != unix.SIGINT && sig != unix.SIGPIPE {
					_ = cmd.Process.Signal(sig) // it may have ended
				}
			}
		}
	}
	if err != nil {
		return fmt.Errorf("the editor %s: %w; nothing was written", command, err)
	}
	return nil
}

// memoryFolder makes a folder of the user's own in memory.
func memoryFolder() (string, error) {
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), "/dev/shm", "/run/shm"} {
		if dir == "" || !inMemory(dir) {
			continue
		}
		made, err := os.MkdirTemp(dir, "muster-secrets-")
		if err == nil {
			return made, nil
		}
	}
	return "", errors.New("there is no place in memory for what is edited: $XDG_RUNTIME_DIR and /dev/shm are no tmpfs that you can write to; \"muster secret set\" changes secrets one by one")
}
