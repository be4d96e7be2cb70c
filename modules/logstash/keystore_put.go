package logstash

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"muster/host"
)

// secretEntry is a value of the keystore. The value travels apart from changes and plans.
type secretEntry struct {
	Name  string       `json:"name"` // as the keystore has it, in small letters
	Value host.Content `json:"value"`
}

// PutKeystore sets values in the keystore. That is done to a copy, which then takes its place.
type PutKeystore struct {
	Before string        `json:"before"` // the keystore's sum; "" where there is none
	Set    []secretEntry `json:"set,omitempty"`
	Keep   []secretEntry `json:"keep,omitempty"` // those of the task that are right already
	Others []string      `json:"others,omitempty"`
}

// Type is "logstash.keystore/1".
func (*PutKeystore) Type() string { return "logstash.keystore/1" }

// Describe names what is set, and shows no value.
func (p *PutKeystore) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: keystorePath}
	if p.Before == "" {
		d.Action = host.Create
	}
	var lines []string
	for _, e := range p.Set {
		lines = append(lines, "keystore: "+e.Name+": set")
	}
	d.Diff = strings.Join(lines, "\n")
	return d
}

// Effects is the keystore, and what muster notes of it.
func (p *PutKeystore) Effects() []host.Effect {
	return append(keeps(filledPath), host.Open(host.Files, keystorePath), host.Is(keysKey, p.ring()))
}

// ring is what the keystore then holds.
func (p *PutKeystore) ring() keyring {
	r := keyring{Keys: map[string]string{}}
	for _, name := range p.Others {
		r.Keys[name] = ""
	}
	for _, e := range slices.Concat(p.Keep, p.Set) {
		r.Keys[e.Name] = e.Value.Sum
	}
	return r
}

// Want is what the keystore is to hold of the task's.
func (p *PutKeystore) Want() any { return p.ring() }

// Apply fills a copy of the keystore and puts it in its place.
func (p *PutKeystore) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	err := p.apply(ctx, h)
	if err != nil {
		err = fmt.Errorf("filling the keystore %s: %w", keystorePath, err)
	}
	return host.Result{}, err
}

func (p *PutKeystore) apply(ctx context.Context, h *host.Host) error {
	old, err := os.ReadFile(keystorePath)
	if err != nil && !gone(err) {
		return err
	}
	sum := ""
	if err == nil {
		sum = sumOf(old)
	}
	if sum != p.Before {
		return host.ErrMoved
	}
	env, err := environment(ctx, host.NewView(h, nil))
	if err != nil {
		return err
	}
	s, err := host.NewScratch()
	if err != nil {
		return err
	}
	defer s.Remove()
	k := &filler{ctx: ctx, h: h, s: s, env: env}
	if err := k.copy(old); err != nil {
		return err
	}
	names, err := k.fill(p.Set)
	if err != nil {
		return err
	}
	data, err := os.ReadFile(filepath.Join(s.Path(), "settings/logstash.keystore"))
	if err != nil {
		return err
	}
	noted, err := p.noted(ctx, h, sumOf(data), names)
	if err != nil {
		return err
	}
	return p.put(ctx, h, data, noted)
}

// put writes the keystore, and the note about it. Both are one edit, with one undo.
func (p *PutKeystore) put(ctx context.Context, h *host.Host, data, noted []byte) error {
	var all host.Undo
	part := *h
	part.Undo = func(u host.Undo) error {
		all.Changes = append(slices.Clone(u.Changes), all.Changes...)
		return h.Begin(all)
	}
	write := &host.WriteFile{Path: keystorePath, Content: h.Bodies.Keep(data, true)}
	if p.Before == "" {
		mode := host.Mode(0o640)
		write.Attr = host.Attr{Mode: &mode, Group: account}
	}
	if _, err := write.Apply(ctx, &part); err != nil {
		return err
	}
	d, err := host.MakeDirs(stateDir, 0o700)
	if err != nil {
		return err
	}
	d.Close()
	mode := host.Mode(0o600)
	_, err = (&host.WriteFile{Path: filledPath, Content: h.Bodies.Keep(noted, true), Attr: host.Attr{Mode: &mode}}).Apply(ctx, &part)
	return err
}

// noted is what is noted of a keystore with this sum.
func (p *PutKeystore) noted(ctx context.Context, h *host.Host, sum string, names []string) ([]byte, error) {
	salt := make([]byte, 16)
	if _, err := rand.Read(salt); err != nil {
		return nil, err
	}
	f := filling{File: sum, Salt: hex.EncodeToString(salt), Keys: map[string]string{}, Names: names}
	for _, e := range slices.Concat(p.Keep, p.Set) {
		value, err := h.Bodies.Read(ctx, e.Value, fileLimit)
		if err != nil {
			return nil, err
		}
		if f.Keys[e.Name], err = f.derived(string(value)); err != nil {
			return nil, err
		}
	}
	return json.Marshal(f)
}

// filler fills a copy of a keystore.
type filler struct {
	ctx context.Context
	h   *host.Host
	s   *host.Scratch
	env map[string]string
}

// run calls the keystore's program.
func (k *filler) run(input string, args ...string) (string, error) {
	ctx, stop := context.WithTimeout(k.ctx, keystoreTime)
	defer stop()
	out, err := k.h.Runner.Run(ctx, keystoreCommand(k.s, k.env, input, args...))
	said := string(out.Stdout) + string(out.Stderr)
	if err == nil && (out.ExitCode != 0 || strings.Contains(said, "ERROR: ")) { // some mistakes end with 0
		err = fmt.Errorf("logstash-keystore %s: %s", args[0], complaint(said, true))
	}
	return string(out.Stdout), err
}

// copy puts what stands there into the private folder, or an empty keystore.
func (k *filler) copy(old []byte) error {
	if _, err := k.s.Write("settings/logstash.yml", nil, 0o600); err != nil {
		return err
	}
	if old != nil {
		_, err := k.s.Write("settings/logstash.keystore", old, 0o600)
		return err
	}
	_, err := k.run("y\n", "create") // to the question whether it may have no password
	return err
}

// fill sets values, and returns all names that the keystore then holds. What is there is
// removed first: adding would ask whether to overwrite it.
func (k *filler) fill(set []secretEntry) ([]string, error) {
	said, err := k.run("", "list")
	if err != nil {
		return nil, err
	}
	has := keysIn(said)
	for _, e := range set {
		if slices.Contains(has, e.Name) {
			if _, err := k.run("", "remove", e.Name); err != nil {
				return nil, err
			}
		}
		value, err := k.h.Bodies.Read(k.ctx, e.Value, fileLimit)
		if err != nil {
			return nil, err
		}
		if _, err := k.run(string(value)+"\n", "add", e.Name, "--stdin"); err != nil {
			return nil, err
		}
		if err := k.h.At("added to the copy"); err != nil {
			return nil, err
		}
	}
	if said, err = k.run("", "list"); err != nil {
		return nil, err
	}
	has = keysIn(said)
	for _, e := range set {
		if !slices.Contains(has, e.Name) {
			return nil, errors.New("logstash-keystore took " + e.Name + ", and doesn't list it")
		}
	}
	return has, nil
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}
