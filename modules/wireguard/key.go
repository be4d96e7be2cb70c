package wireguard

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"muster/host"
)

// keyForm reports whether text is a key as WireGuard writes them: 32 bytes in base64.
func keyForm(text string) bool {
	raw, err := base64.StdEncoding.Strict().DecodeString(text)
	return err == nil && len(raw) == 32 && len(text) == 44
}

// publicOf returns the public key of a private one.
func publicOf(private string) (string, error) {
	raw, err := base64.StdEncoding.DecodeString(strings.TrimSpace(private))
	if err != nil || len(raw) != 32 {
		return "", errors.New("it holds no private key of WireGuard's")
	}
	key, err := ecdh.X25519().NewPrivateKey(raw)
	if err != nil {
		return "", errors.New("it holds no private key of WireGuard's")
	}
	return base64.StdEncoding.EncodeToString(key.PublicKey().Bytes()), nil
}

// sumOf tells preshared keys apart without holding them; "" for none.
func sumOf(key string) string {
	if key = strings.TrimSpace(key); key == "" || key == "(none)" {
		return ""
	}
	sum := sha256.Sum256([]byte("wireguard " + key))
	return hex.EncodeToString(sum[:])
}

// public returns the interface's public key, "" where its private one is still to be made.
func public(ctx context.Context, v *host.View, name string) (string, error) {
	info, err := v.Lstat(keyPath(name))
	if err != nil || !info.Exists() {
		return "", err
	}
	data, err := v.ReadFile(ctx, keyPath(name), 4096)
	if errors.Is(err, host.ErrNotYet) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	key, err := publicOf(string(data))
	if err != nil {
		return "", fmt.Errorf("%s: %w: remove it to have a new one made, which peers have to be told", keyPath(name), err)
	}
	return key, nil
}

// MakeKey makes an interface's private key, on the host, where there is none.
type MakeKey struct {
	Path string `json:"path"`
}

// Type is "wireguard.key/1".
func (*MakeKey) Type() string { return "wireguard.key/1" }

// Describe says that the key stays where it is made.
func (m *MakeKey) Describe() host.Description {
	return host.Description{Action: host.Create, Target: m.Path, Diff: "(a private key, made on the host)"}
}

// keyFile is what stands where a key is made.
func keyFile() host.FileInfo {
	return host.FileInfo{Type: host.Regular, Mode: 0o600, Owner: "root", Group: "root", Size: 45, Sensitive: true, Withheld: true}
}

// Effects is the file, whose content nobody can tell.
func (m *MakeKey) Effects() []host.Effect {
	return []host.Effect{host.Is(host.File(m.Path), keyFile())}
}

// Obstacle is why the file couldn't be written.
func (m *MakeKey) Obstacle(v *host.View) error {
	return v.Obstacle(m.Path, host.Putting, host.FileInfo{}, keyFile())
}

// Apply makes the key, unless there is one by now.
func (m *MakeKey) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	now, err := host.NewView(h, nil).Lstat(m.Path)
	if err != nil {
		return host.Result{}, err
	}
	if now.Exists() {
		return host.Result{}, fmt.Errorf("%s: %w", m.Path, host.ErrMoved)
	}
	key, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		return host.Result{}, err
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	return host.Result{}, host.Put(m.Path, []byte(base64.StdEncoding.EncodeToString(key.Bytes())+"\n"), 0o600)
}
