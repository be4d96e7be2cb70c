package file

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"sort"

	"muster/host"
	"muster/modules"
)

// The manifests of copied trees are kept on the host, by their sum, so that
// planning an unchanged tree asks the controller for nothing. Only a copy that
// was made writes there; planning reads, and believes what has the right sum.

// keptManifests is how many manifests are kept; the oldest go first.
const keptManifests = 64

// cacheDir is where this user's manifests are kept, "" if nowhere.
func cacheDir() string {
	if host.IsRoot() {
		return "/var/cache/muster/manifests"
	}
	dir, err := os.UserCacheDir()
	if err != nil {
		return ""
	}
	return filepath.Join(dir, "muster", "manifests")
}

// manifest returns the decoded manifest, and the file that is to keep it for
// the next run: "" where none is needed.
func manifest(ctx context.Context, v *host.View, c host.Content, dir string) (modules.Manifest, string, error) {
	if dir == "" {
		dir = cacheDir()
	}
	at := ""
	if c.Size > host.InlineLimit && !c.Sensitive && dir != "" {
		at = filepath.Join(dir, c.Sum)
	}
	if at != "" && c.Data == nil {
		if data, err := os.ReadFile(at); err == nil {
			if sum := sha256.Sum256(data); hex.EncodeToString(sum[:]) == c.Sum {
				m, err := modules.DecodeManifest(data)
				return m, at, err
			}
		}
	}
	data, err := v.Body(ctx, c, modules.MaxManifest)
	if err != nil {
		return modules.Manifest{}, "", err
	}
	m, err := modules.DecodeManifest(data)
	return m, at, err
}

// keepManifest writes a manifest to the cache. It is a cache: what goes wrong
// only makes the next run ask for it again.
func keepManifest(ctx context.Context, h *host.Host, c host.Content, at string) {
	if at == "" {
		return
	}
	data, err := h.Bodies.Read(ctx, c, modules.MaxManifest)
	if err != nil {
		return
	}
	dir := filepath.Dir(at)
	d, err := host.MakeDirs(dir, 0o755)
	if err != nil {
		return
	}
	defer d.Close()
	if host.Put(at, data, 0o600) != nil {
		return
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) <= keptManifests {
		return
	}
	age := func(e os.DirEntry) int64 {
		if info, err := e.Info(); err == nil {
			return info.ModTime().UnixNano()
		}
		return 0
	}
	sort.Slice(entries, func(i, j int) bool { return age(entries[i]) < age(entries[j]) })
	for _, e := range entries[:len(entries)-keptManifests] {
		_ = d.Remove(e.Name())
	}
}
