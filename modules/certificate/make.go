package certificate

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"muster/host"
	"muster/internal/keypair"
)

// made is a file that is made on the host: what is in it is known after that.
type made struct {
	Path   string        `json:"path"`
	Mode   host.Mode     `json:"mode"`
	Owner  string        `json:"owner,omitempty"`
	Group  string        `json:"group,omitempty"`
	Before host.FileInfo `json:"before"`
}

func (m *made) describe(diff, impact string) host.Description {
	d := host.Description{Action: host.Update, Target: m.Path, Diff: diff, Impact: impact}
	if !m.Before.Exists() {
		d.Action = host.Create
	}
	return d
}

// Obstacle is why the file couldn't be written.
func (m *made) Obstacle(v *host.View) error {
	return v.Obstacle(m.Path, host.Putting, m.Before, m.after())
}

// after is the file as it will be, as far as that is known.
func (m *made) after() host.FileInfo {
	info := host.FileInfo{Type: host.Regular, Mode: m.Mode, Owner: m.Before.Owner, Group: m.Before.Group}
	if info.Owner == "" {
		info.Owner, info.Group = host.UserName(uint32(os.Geteuid())), host.GroupName(uint32(os.Getegid()))
	}
	if m.Owner != "" {
		info.Owner = m.Owner
	}
	if m.Group != "" {
		info.Group = m.Group
	}
	return info
}

func (m *made) write(ctx context.Context, h *host.Host, text string) error {
	w := &host.WriteFile{
		Path: m.Path, Content: h.Bodies.Keep([]byte(text), m.Mode == keyMode),
		Attr: host.Attr{Mode: &m.Mode, Owner: m.Owner, Group: m.Group}, Before: &m.Before, After: m.after(),
	}
	_, err := w.Apply(ctx, h)
	return err
}

// MakeKey makes a private key, which never leaves the host.
type MakeKey struct {
	made
	KeyType string `json:"type"`
}

// Type is "certificate.key/1".
func (*MakeKey) Type() string { return "certificate.key/1" }

// Describe names the type of the key.
func (m *MakeKey) Describe() host.Description {
	impact := ""
	if m.Before.Exists() {
		impact = "replaces the key that is there"
	}
	return m.describe("key: "+m.KeyType, impact)
}

// Effects are the file.
func (m *MakeKey) Effects() []host.Effect { return []host.Effect{host.Open(host.Files, m.Path)} }

// Apply makes the key and writes it.
func (m *MakeKey) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	key, err := makeKey(m.KeyType)
	if err != nil {
		return host.Result{}, fmt.Errorf("making a key: %w", err)
	}
	text, err := keyText(key)
	if err == nil {
		err = m.write(ctx, h, text)
	}
	return host.Result{}, err
}

// Make makes a certificate that is signed by its own key, which is there by then.
type Make struct {
	made
	Key    string   `json:"key"`
	KeySum string   `json:"key_sum,omitempty"` // "" where this run makes the key
	Spec   spec     `json:"spec"`
	Days   int      `json:"days"`
	Why    []string `json:"why"`
}

// Type is "certificate.make/1".
func (*Make) Type() string { return "certificate.make/1" }

// Describe says why it is made.
func (m *Make) Describe() host.Description { return m.describe(strings.Join(m.Why, "\n"), "") }

// Effects are the file, and what the certificate is for.
func (m *Make) Effects() []host.Effect {
	return []host.Effect{host.Is(host.Key{Space: certificateSpace, Name: m.Path}, m.Spec), host.Open(host.Files, m.Path)}
}

// Apply makes the certificate and writes it.
func (m *Make) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	data, err := os.ReadFile(m.Key)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return host.Result{}, err
	}
	sum := sha256.Sum256(data)
	if err != nil || m.KeySum != "" && hex.EncodeToString(sum[:]) != m.KeySum {
		return host.Result{}, fmt.Errorf("%s: %w", m.Key, host.ErrMoved)
	}
	key, err := readKey(string(data))
	if err != nil || keyType(key) != m.Spec.KeyType {
		return host.Result{}, fmt.Errorf("%s: %w", m.Key, host.ErrMoved)
	}
	request := keypair.Request{CommonName: m.Spec.CommonName, Names: m.Spec.Names, Days: m.Days, Own: key}
	text, err := keypair.Certificate(request, time.Now())
	if err != nil {
		return host.Result{}, err
	}
	chain, err := keypair.Chain(text.Reveal())
	if err == nil {
		err = m.write(ctx, h, chain)
	}
	return host.Result{}, err
}
