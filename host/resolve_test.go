package host

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/host/hosttest"
)

func TestPathsAreResolvedAsTheKernelDoes(t *testing.T) {
	root := lay(t, "a/b/file", "a/link -> b", "abs -> a/link", "top -> ./a/../a/link/file", "dangling -> none/x", "up/down -> ../a")
	must(t, os.Symlink(filepath.Join(root, "a"), filepath.Join(root, "full")))
	must(t, os.Symlink("loop", filepath.Join(root, "loop")))
	var p Preview
	p.Lay([]Effect{Is(File("/planned"), FileInfo{Type: Regular})})
	for view, v := range map[string]*View{"the host's": NewView(New(), nil), "a planned": NewView(New(), &p)} {
		for _, c := range []struct{ path, resolve, follow string }{
			{"a/b/file", "a/b/file", "a/b/file"},
			{"a/link", "a/link", "a/b"},
			{"a/link/file", "a/b/file", "a/b/file"},
			{"abs/file", "a/b/file", "a/b/file"},
			{"abs/../b", "a/b", "a/b"}, // the path is cleaned first, as package filepath does
			{"top", "top", "a/b/file"},
			{"full/link/none/x", "a/b/none/x", "a/b/none/x"},
			{"dangling", "dangling", "none/x"},
			{"dangling/y", "none/x/y", "none/x/y"},
			{"up/down/link", "a/link", "a/b"},
			{"a/b/file/x", "a/b/file/x", "a/b/file/x"},
			{"a//b/./file", "a/b/file", "a/b/file"},
		} {
			if c.path == "abs/../b" {
				c.resolve, c.follow = "b", "b"
			}
			if got, err := v.Resolve(root + "/" + c.path); err != nil || got != filepath.Join(root, c.resolve) {
				t.Errorf("%s view resolves %s to %s, want %s (%v)", view, c.path, got, c.resolve, err)
			}
			if got, err := v.Follow(root + "/" + c.path); err != nil || got != filepath.Join(root, c.follow) {
				t.Errorf("%s view follows %s to %s, want %s (%v)", view, c.path, got, c.follow, err)
			}
		}
		if got, err := v.Follow(filepath.Join(root, "loop")); err == nil {
			t.Errorf("%s view follows a loop to %s", view, got)
		}
		for _, path := range []string{"/", "/etc"} {
			if got, err := v.Place(path, true); err != nil || got != path {
				t.Errorf("%s view places %s at %s, %v", view, path, got, err)
			}
		}
	}
}

func TestRootFollowsLinksOfRootsAlone(t *testing.T) {
	needsRoot(t)
	root := lay(t, "secret/file", "ours -> secret", "home/theirs -> ../secret", "home/ours -> ../secret", "home/second -> ../secret", "home/chain -> theirs/.")
	must(t, os.Link(filepath.Join(root, "home/second"), filepath.Join(root, "home/name2")))
	for _, name := range []string{"home", "home/theirs"} {
		must(t, os.Lchown(filepath.Join(root, name), hosttest.Nobody, hosttest.Nobody))
	}
	var p Preview
	p.Lay([]Effect{Is(File("/planned"), FileInfo{Type: Regular})})
	for view, v := range map[string]*View{"the host's": NewView(New(), nil), "a planned": NewView(New(), &p)} {
		for path, refused := range map[string]string{
			"ours/file":      "",
			"home/ours/file": "",
			"home/theirs/file": "home/theirs is a link that " + UserName(hosttest.Nobody) + " made: muster doesn't follow it as root; name the place it leads to (../secret), or run the task as " +
				UserName(hosttest.Nobody),
			"home/chain/file":  "home/theirs is a link that",
			"home/second/file": "home/second is a second name of a link of root's",
		} {
			got, err := v.Place(filepath.Join(root, path), false)
			switch {
			case refused == "" && (err != nil || got != filepath.Join(root, "secret/file")):
				t.Errorf("%s view places %s at %s, %v", view, path, got, err)
			case refused != "" && (err == nil || !strings.Contains(err.Error(), refused)):
				t.Errorf("%s view places %s at %s, %v", view, path, got, err)
			}
			// What only looks follows all links.
			if info, err := v.Stat(filepath.Join(root, path)); err != nil || info.Type != Regular {
				t.Errorf("%s view: %s is %+v, %v", view, path, info, err)
			}
		}
		if _, err := v.ReadFile(t.Context(), filepath.Join(root, "home/theirs/file"), 1000); err == nil {
			t.Errorf("%s view reads root's file through the user's link", view)
		}
	}
}
