package ssh_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/transport"
	"muster/transport/local"
	"muster/transport/transporttest"
)

func TestFilesArePutInPlaceWhole(t *testing.T) {
	content := make([]byte, 5<<20)
	rand.Read(content)
	here, err := local.Dialer{}.Dial(t.Context(), transport.Target{Name: "localhost", Local: true})
	if err != nil {
		t.Fatal(err)
	}
	defer here.Close()
	s := newSite(t, 1, transporttest.Options{}, transporttest.Options{MaxSessions: 1})
	for name, conn := range map[string]transport.Conn{"over SSH": dial(t, s.dialer(t), s.targets[0]), "on this machine": here} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "file")
			for _, mode := range []os.FileMode{0, 0o755} {
				if _, err := output(t, conn, "true", ""); err != nil { // frees the one session
					t.Fatal(err)
				}
				if err := conn.Put(t.Context(), transport.Upload{Path: file, Mode: mode, Content: bytes.NewReader(content)}); err != nil {
					t.Fatal(err)
				}
				got, _ := os.ReadFile(file)
				info, err := os.Stat(file)
				if mode == 0 {
					mode = 0o600
				}
				if err != nil || !bytes.Equal(got, content) || info.Mode().Perm() != mode {
					t.Errorf("%d bytes, %v, %v", len(got), info, err)
				}
			}
			os.Mkdir(filepath.Join(dir, "folder"), 0o755)
			os.Symlink(file, filepath.Join(dir, "link"))
			for _, planted := range []string{"folder", "link", "missing/file"} {
				if err := conn.Put(t.Context(), transport.Upload{Path: filepath.Join(dir, planted), Content: strings.NewReader("x")}); err == nil {
					t.Errorf("%s was written", planted)
				}
			}
			ctx, cancel := context.WithCancel(t.Context())
			err := conn.Put(ctx, transport.Upload{Path: filepath.Join(dir, "cut"), Content: io.MultiReader(bytes.NewReader(content), cancels{cancel}, bytes.NewReader(content))})
			if !errors.Is(err, context.Canceled) {
				t.Errorf("got %v", err)
			}
			err = conn.Put(t.Context(), transport.Upload{Path: filepath.Join(dir, "cut"), Content: io.MultiReader(bytes.NewReader(content), broken{})})
			if !errors.Is(err, errBroken) {
				t.Errorf("got %v", err)
			}
			if got, _ := os.ReadFile(file); !bytes.Equal(got, content) {
				t.Error("the file behind the link was changed")
			}
			entries, _ := os.ReadDir(dir)
			if len(entries) != 3 {
				t.Errorf("left behind: %v", entries)
			}
		})
	}
}

type cancels struct{ cancel context.CancelFunc }

func (c cancels) Read([]byte) (int, error) { c.cancel(); return 0, io.EOF }

var errBroken = errors.New("broken")

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errBroken }

func TestASecondSessionNamesTheSettingThatForbidsIt(t *testing.T) {
	s := newSite(t, 1, transporttest.Options{}, transporttest.Options{MaxSessions: 1})
	conn := dial(t, s.dialer(t), s.targets[0])
	p, err := conn.Start(t.Context(), "cat")
	if err != nil {
		t.Fatal(err)
	}
	put := transport.Upload{Path: filepath.Join(t.TempDir(), "f"), Content: strings.NewReader("x")}
	if err := conn.Put(t.Context(), put); err == nil || !strings.Contains(err.Error(), "MaxSessions") {
		t.Errorf("got %v", err)
	}
	p.Stdin.Close()
	if err := p.Wait(); err != nil {
		t.Error(err)
	}
	if err := conn.Put(t.Context(), put); err != nil {
		t.Error(err)
	}
}

func TestAHostWithoutSFTPSaysSo(t *testing.T) {
	s := newSite(t, 1, transporttest.Options{}, transporttest.Options{DenySFTP: true})
	err := dial(t, s.dialer(t), s.targets[0]).Put(t.Context(), transport.Upload{Path: "f", Content: strings.NewReader("x")})
	if err == nil || !strings.Contains(err.Error(), "Subsystem sftp") {
		t.Errorf("got %v", err)
	}
}
