package aptproxy

import (
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
)

// tempPrefix starts the name of a file that isn't whole; no file of a mirror is named so.
const tempPrefix = ".fetching-"

// immutable reports whether the path's name says which bytes it holds: a
// package file's carries its version (Debian Policy 5.6.12, and an archive never
// changes a published version), a by-hash index its sum.
func immutable(urlPath string) bool {
	switch path.Ext(urlPath) {
	case ".deb", ".udeb":
		return true
	}
	return strings.Contains(urlPath, "/by-hash/")
}

// fileName returns where under the cache folder the file of a URL is kept.
func fileName(host, urlPath string) (string, error) {
	name := filepath.Join(strings.ReplaceAll(host, ":", "_"), filepath.FromSlash(path.Clean("/"+urlPath)))
	base := path.Base(urlPath)
	if strings.HasSuffix(urlPath, "/") || base == "." || base == ".." || base == "/" || strings.HasPrefix(base, tempPrefix) {
		return "", fmt.Errorf("%q is not the path of a file", urlPath)
	}
	if !filepath.IsLocal(name) {
		return "", fmt.Errorf("%q is not a path inside a mirror", urlPath)
	}
	return name, nil
}

// sweep removes temporary files below dir that are older than age.
func sweep(dir string, age time.Duration) {
	_ = filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasPrefix(d.Name(), tempPrefix) {
			return nil
		}
		if info, err := d.Info(); err == nil && time.Since(info.ModTime()) > age {
			_ = os.Remove(p)
		}
		return nil
	})
}
