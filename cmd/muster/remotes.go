package main

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"

	"muster/internal/launch"
)

// embedded is what `make build` has put there: a remote for each kind of
// machine, packed.
//
//go:embed all:remotes
var embedded embed.FS

// remotes are the programs that are pushed to hosts.
type remotes struct{}

// Arches are those that need not be built first; where none is embedded, the
// one of this machine.
func (remotes) Arches() []string {
	var list []string
	files, _ := fs.Glob(embedded, "remotes/linux-*.sum")
	for _, f := range files {
		list = append(list, strings.TrimSuffix(strings.TrimPrefix(f, "remotes/linux-"), ".sum"))
	}
	if len(list) == 0 {
		list = []string{runtime.GOARCH}
	}
	return list
}

// Open returns the remote for an architecture. One that isn't embedded is
// built, if this muster's source and a Go are here.
func (remotes) Open(goarch string) (launch.Binary, error) {
	sum, err := embedded.ReadFile("remotes/linux-" + goarch + ".sum")
	if errors.Is(err, fs.ErrNotExist) {
		return built.open(goarch)
	}
	if err != nil {
		return launch.Binary{}, err
	}
	b := launch.Binary{}
	if _, err := fmt.Sscan(string(sum), &b.Sum, &b.Size); err != nil {
		return b, fmt.Errorf("the embedded remote for %s: %w", goarch, err)
	}
	f, err := embedded.Open("remotes/linux-" + goarch + ".gz")
	if err != nil {
		return b, err
	}
	info, err := f.Stat()
	if err != nil {
		return b, err
	}
	b.Packed = info.Size()
	b.Gzip = f.(io.ReaderAt) // as package embed promises
	return b, nil
}

// builds remembers what was built in this process.
type builds struct {
	mu   sync.Mutex
	done map[string]launch.Binary
}

var built = &builds{done: map[string]launch.Binary{}}

func (b *builds) open(goarch string) (launch.Binary, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bin, ok := b.done[goarch]; ok {
		return bin, nil
	}
	bin, err := buildRemote(goarch)
	if err != nil {
		return bin, fmt.Errorf("this muster has no remote for %s built in, and making one failed: %w; build muster with \"make build\"", goarch, err)
	}
	b.done[goarch] = bin
	return bin, nil
}

// buildRemote builds the remote from the source that this muster came from.
func buildRemote(goarch string) (launch.Binary, error) {
	_, file, _, _ := runtime.Caller(0)
	root := filepath.Dir(filepath.Dir(filepath.Dir(file)))
	if _, err := os.Stat(filepath.Join(root, "go.mod")); err != nil {
		return launch.Binary{}, errors.New("its source isn't on this machine")
	}
	dir, err := os.MkdirTemp("", "muster-remote-")
	if err != nil {
		return launch.Binary{}, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "muster-remote")
	cmd := exec.Command("go", "build", "-tags=nethttpomithttp2", "-gcflags=muster/...=-l", "-trimpath", "-buildvcs=false", "-ldflags=-s -w", "-o", path, "./cmd/muster-remote")
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+goarch, "CGO_ENABLED=0")
	if out, err := cmd.CombinedOutput(); err != nil {
		return launch.Binary{}, fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
	}
	program, err := os.ReadFile(path)
	if err != nil {
		return launch.Binary{}, err
	}
	var packed bytes.Buffer
	w := gzip.NewWriter(&packed)
	if _, err := w.Write(program); err != nil {
		return launch.Binary{}, err
	}
	if err := w.Close(); err != nil {
		return launch.Binary{}, err
	}
	sum := sha256.Sum256(program)
	return launch.Binary{Gzip: bytes.NewReader(packed.Bytes()), Packed: int64(packed.Len()), Sum: hex.EncodeToString(sum[:]), Size: int64(len(program))}, nil
}
