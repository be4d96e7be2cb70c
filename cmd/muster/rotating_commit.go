package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"muster/secret"
)

// commitTime is how long the program that commits the store may take.
const commitTime = 5 * time.Minute

// uncommitted is what is noted before the store is written, until it is committed.
type uncommitted struct {
	Before string   `json:"before"`          // SHA-256 of the file as it was
	Ended  []string `json:"ended,omitempty"` // the secrets whose rotation is over with what is written
}

func (p *rotations) uncommittedPath() string { return filepath.Join(p.dir, "rotations", "uncommitted") }

// uncommitted is what is noted; ok is false where nothing was written since the last commit.
func (p *rotations) uncommitted() (u uncommitted, ok bool, err error) {
	text, err := os.ReadFile(p.uncommittedPath())
	if errors.Is(err, fs.ErrNotExist) || p.commit == nil {
		return u, false, nil
	}
	if err != nil {
		return u, false, err
	}
	sum, err := p.sum()
	if err != nil {
		return u, false, err
	}
	return u, json.Unmarshal(text, &u) != nil || u.Before != sum, nil
}

// sum is that of the store's file.
func (p *rotations) sum() (string, error) {
	data, err := os.ReadFile(p.path)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:]), nil
}

// writes notes that the store is about to be written; with ended, the name of a secret, so that
// its rotation is over.
func (t *rotator) writes(ended string) error {
	if t.commit == nil {
		return nil
	}
	text, err := os.ReadFile(t.uncommittedPath())
	var u uncommitted
	if err != nil || json.Unmarshal(text, &u) != nil { // else what was written before isn't committed either
		if u.Before, err = t.sum(); err != nil {
			return err
		}
	} else if ended == "" {
		return nil
	}
	if ended != "" && !slices.Contains(u.Ended, ended) {
		u.Ended = append(u.Ended, ended)
	}
	return keepHere(t.uncommittedPath(), u)
}

// Commit has the store committed, if a rotation here has written it since that was done last.
func (t *rotator) Commit(ctx context.Context) error {
	_, written, err := t.uncommitted()
	if err != nil || t.commit == nil {
		return err
	}
	if written {
		if err := t.runCommit(ctx); err != nil {
			return err
		}
	}
	if err := os.Remove(t.uncommittedPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// commitLeft commits what a run before this one has written, and returns the secrets whose
// rotation was over with that: for them nothing else is left to do.
func (t *rotator) commitLeft(ctx context.Context) (ended []string, err error) {
	u, written, err := t.uncommitted()
	if err != nil || !written {
		return nil, err
	}
	if err := t.Commit(ctx); err != nil {
		return nil, err
	}
	for _, name := range u.Ended {
		if v, err := t.Versions(name); err == nil && !v.Open() {
			ended = append(ended, name)
		}
	}
	return ended, nil
}

// runCommit runs the program. It gets no signal of a terminal's, and is waited for: a
// commit that is cut off in its middle leaves the repository locked.
func (t *rotator) runCommit(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), commitTime)
	defer cancel()
	cmd := exec.CommandContext(ctx, t.commit[0], t.commit[1:]...)
	cmd.Dir, cmd.Env = t.loaded.project.Dir, append(os.Environ(), "MUSTER_SECRETS="+t.path)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	err := cmd.Run()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = fmt.Errorf("it hasn't ended in %s", commitTime)
	}
	redact := &secret.Redactor{}
	for _, f := range t.list {
		if now, before, err := t.values(f.Rotation); err == nil {
			redact.Add(now.Reveal(), before.Reveal())
		}
	}
	text := strings.TrimSpace(redact.Redact(said.String()))
	if len(text) > 2000 {
		text = "…" + text[len(text)-2000:]
	}
	return errors.Join(fmt.Errorf("the store isn't committed (%s: %w); what is written is on this machine alone, and nothing goes on before it is", strings.Join(t.commit, " "), err), plain(text))
}

// plain is a text as an error; nil where there is none.
func plain(text string) error {
	if text == "" {
		return nil
	}
	return errors.New(text)
}
