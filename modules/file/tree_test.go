package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"muster/host"
	"muster/modules"
)

// project is a folder of the controller's, and the host that asks for it.
type project struct {
	content host.Content
	bodies  map[string]string
	data    []byte
	asked   atomic.Int64
}

func newProject(t testing.TB, root string) *project {
	t.Helper()
	m, bodies, err := modules.BuildManifest(root)
	if err != nil {
		t.Fatal(err)
	}
	data, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	p := &project{content: host.ContentOf(data, false), bodies: bodies, data: data}
	p.content.Data = nil
	return p
}

func (p *project) host() *host.Host {
	h := host.New()
	h.Bodies.Ask = func(_ context.Context, sum string) (io.ReadCloser, error) {
		p.asked.Add(1)
		if sum == p.content.Sum {
			return io.NopCloser(bytes.NewReader(p.data)), nil
		}
		at, ok := p.bodies[sum]
		if !ok {
			return nil, fmt.Errorf("nobody has %s", sum)
		}
		return os.Open(at)
	}
	return h
}

func writeTree(t testing.TB, root string, dirs, files int) {
	t.Helper()
	for d := range dirs {
		dir := filepath.Join(root, fmt.Sprintf("d%03d", d))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		for f := range files {
			if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%03d", f)), fmt.Appendf(nil, "file %d of %d\n", f, d), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func apply(t testing.TB, h *host.Host, plan modules.Plan) {
	t.Helper()
	for _, c := range plan.Changes {
		if _, err := c.Apply(t.Context(), h); err != nil {
			t.Fatal(err)
		}
	}
}

func TestALargeTreeIsOneChangeAndUnchangedAsksForNothing(t *testing.T) {
	src, dst, cache := t.TempDir(), filepath.Join(t.TempDir(), "t"), filepath.Join(t.TempDir(), "cache")
	writeTree(t, src, 20, 99)
	p := newProject(t, src)
	d := &Directory{Path: dst, Source: &p.content, cache: cache}
	h := p.host()
	plan, err := d.Plan(t.Context(), host.NewView(h, nil))
	if err != nil {
		t.Fatal(err)
	}
	if len(plan.Changes) != 2 {
		t.Fatalf("%d changes, want the directory and its tree", len(plan.Changes))
	}
	shown := plan.Changes[1].Describe()
	if !strings.Contains(shown.Impact, "1980 files") || strings.Count(shown.Diff, "\n") != 20 || !strings.HasSuffix(shown.Diff, "… and 1980 more") {
		t.Errorf("the tree is shown as %+v", shown)
	}
	if _, err := os.Stat(cache); !errors.Is(err, os.ErrNotExist) {
		t.Error("planning has written to the cache")
	}
	apply(t, h, plan)

	p.asked.Store(0)
	h = p.host()
	plan, err = d.Plan(t.Context(), host.NewView(h, nil))
	if err != nil || len(plan.Changes) != 0 {
		t.Fatalf("planned again: %+v, %v", plan, err)
	}
	if n := p.asked.Load(); n != 0 {
		t.Errorf("an unchanged tree has asked the controller %d times", n)
	}

	if err := os.WriteFile(filepath.Join(cache, p.content.Sum), []byte(`{"Entries":[]}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err = d.Plan(t.Context(), host.NewView(p.host(), nil)); err != nil || p.asked.Load() != 1 {
		t.Errorf("a damaged manifest in the cache: asked %d times, %v", p.asked.Load(), err)
	}
}

func TestACopyThatIsInterruptedLeavesWholeFiles(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	writeTree(t, src, 2, 50)
	p := newProject(t, src)
	d := &Directory{Path: dst, Source: &p.content, cache: t.TempDir()}
	h := p.host()
	plan, err := d.Plan(t.Context(), host.NewView(h, nil))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	steps := 0
	h.Step = func(string) error {
		if steps++; steps == 40 {
			cancel()
		}
		return nil
	}
	if _, err := plan.Changes[0].Apply(ctx, h); !errors.Is(err, context.Canceled) {
		t.Fatalf("interrupted: %v", err)
	}
	h.Step = nil
	left := 0
	_ = filepath.WalkDir(dst, func(path string, e os.DirEntry, _ error) error {
		if strings.HasPrefix(e.Name(), ".muster-") {
			t.Errorf("%s is left", path)
		}
		if e.Type().IsRegular() {
			left++
		}
		return nil
	})
	if left == 0 || left == 100 {
		t.Errorf("%d files are there: the copy wasn't cut in the middle", left)
	}
	plan, err = d.Plan(t.Context(), host.NewView(h, nil))
	if err != nil {
		t.Fatal(err)
	}
	if c := plan.Changes[0].(*interruptible).Change.(*CopyTree); len(c.Items) >= 102 || len(c.Items) == 0 {
		t.Errorf("the next run copies %d things", len(c.Items))
	}
	apply(t, h, plan)
	if plan, err = d.Plan(t.Context(), host.NewView(h, nil)); err != nil || len(plan.Changes) != 0 {
		t.Errorf("after that: %+v, %v", plan, err)
	}
}

func TestABodyThatDoesNotComeLeavesTheOldFile(t *testing.T) {
	src, dst := t.TempDir(), t.TempDir()
	for dir, text := range map[string]string{src: strings.Repeat("new", 1000), dst: "old"} {
		if err := os.WriteFile(filepath.Join(dir, "x"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	p := newProject(t, src)
	d := &Directory{Path: dst, Source: &p.content, cache: t.TempDir()}
	h := p.host()
	plan, err := d.Plan(t.Context(), host.NewView(h, nil))
	if err != nil {
		t.Fatal(err)
	}
	h.Bodies.Ask = func(context.Context, string) (io.ReadCloser, error) {
		return io.NopCloser(strings.NewReader("damaged")), nil
	}
	if _, err := plan.Changes[0].Apply(t.Context(), h); err == nil {
		t.Error("a damaged body was taken")
	}
	entries, _ := os.ReadDir(dst)
	data, _ := os.ReadFile(filepath.Join(dst, "x"))
	if string(data) != "old" || len(entries) != 1 {
		t.Errorf("the folder holds %v, x is %q", entries, data)
	}
}

func TestALinkPutInTheWayDoesNotLeadTheCopyOut(t *testing.T) {
	src, dst, outside := t.TempDir(), t.TempDir(), t.TempDir()
	writeTree(t, src, 1, 1)
	p := newProject(t, src)
	d := &Directory{Path: dst, Source: &p.content, cache: t.TempDir()}
	h := p.host()
	if err := os.Mkdir(filepath.Join(dst, "d000"), 0o755); err != nil {
		t.Fatal(err)
	}
	plan, err := d.Plan(t.Context(), host.NewView(h, nil))
	if err != nil {
		t.Fatal(err)
	}
	// Somebody swaps the directory for a link between planning and doing.
	if err := os.Remove(filepath.Join(dst, "d000")); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dst, "d000")); err != nil {
		t.Fatal(err)
	}
	if _, err := plan.Changes[0].Apply(t.Context(), h); err == nil {
		t.Error("the copy went on")
	}
	if entries, _ := os.ReadDir(outside); len(entries) != 0 {
		t.Errorf("the copy left the tree: %v", entries)
	}
}

func BenchmarkPlanningAnUnchangedTreeOf10000Things(b *testing.B) {
	src, dst := b.TempDir(), filepath.Join(b.TempDir(), "t")
	writeTree(b, src, 100, 99)
	p := newProject(b, src)
	d := &Directory{Path: dst, Source: &p.content, cache: b.TempDir()}
	h := p.host()
	plan, err := d.Plan(b.Context(), host.NewView(h, nil))
	if err != nil {
		b.Fatal(err)
	}
	apply(b, h, plan)
	for b.Loop() {
		if plan, err := d.Plan(b.Context(), host.NewView(p.host(), nil)); err != nil || len(plan.Changes) != 0 {
			b.Fatal(plan, err)
		}
	}
}

// A tree planned once more on what it will leave has nothing to do, whatever it puts
// in the place of what.
func TestTreeThatReplacesThingsIsSettledByItsOwnEffects(t *testing.T) {
	src, root := t.TempDir(), t.TempDir()
	for _, dir := range []string{src + "/was-file/sub", src + "/was-link", src + "/stays", root + "/was-dir/deep", root + "/stays", root + "/outside"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{
		src + "/was-file/sub/x", src + "/was-link/y", src + "/was-dir", src + "/stays/z",
		root + "/was-file", root + "/was-dir/deep/gone", root + "/outside/foreign", root + "/stays/foreign",
	} {
		if err := os.WriteFile(file, []byte(file), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Symlink("outside", root+"/was-link"); err != nil {
		t.Fatal(err)
	}
	p := newProject(t, src)
	h := p.host()
	mode, err := host.ParseMode("u=rwX,g=rX,o=")
	if err != nil {
		t.Fatal(err)
	}
	d := &Directory{Path: root, Source: &p.content, Purge: true, Recurse: true, Mode: &mode, cache: t.TempDir()}
	v := host.NewView(h, nil)
	plan, err := d.Plan(t.Context(), v)
	if err != nil || len(plan.Changes) == 0 {
		t.Fatal(plan, err)
	}
	var effects []host.Effect
	for _, c := range plan.Changes {
		effects = append(effects, c.Effects()...)
	}
	ahead := v.Behind(effects)
	again, err := d.Plan(t.Context(), ahead)
	if err != nil || len(again.Changes) > 0 {
		t.Errorf("planned on what it leaves: %v, %v", again.Changes, err)
	}
	for path, want := range map[string]string{"was-file": "sub", "was-link": "y", "stays": "z"} {
		names, err := ahead.ReadDir(filepath.Join(root, path))
		if err != nil || strings.Join(names, " ") != want {
			t.Errorf("%s will hold %v, %v", path, names, err)
		}
	}
	for _, path := range []string{"was-dir/deep/gone", "was-dir/deep", "was-link/foreign"} {
		if info, err := ahead.Lstat(filepath.Join(root, path)); err != nil || info.Exists() {
			t.Errorf("%s will be %+v, %v", path, info, err)
		}
	}
	apply(t, h, plan)
	v.Forget()
	if end, err := d.Plan(t.Context(), v); err != nil || len(end.Changes) > 0 {
		t.Errorf("planned on what it left: %v, %v", end.Changes, err)
	}
}

// What a directory held that is removed and made again isn't there any more.
func TestDirectoryMadeAnewIsEmpty(t *testing.T) {
	root := t.TempDir()
	if err := os.MkdirAll(root+"/d/sub", 0o755); err != nil {
		t.Fatal(err)
	}
	v := host.NewView(host.New(), nil)
	info, err := v.Lstat(root + "/d")
	if err != nil {
		t.Fatal(err)
	}
	ahead := v.Behind([]host.Effect{host.Gone(host.File(root + "/d")), host.Is(host.File(root+"/d"), info)})
	if names, err := ahead.ReadDir(root + "/d"); err != nil || len(names) > 0 {
		t.Errorf("it will hold %v, %v", names, err)
	}
	if info, err := ahead.Lstat(root + "/d/sub"); err != nil || info.Exists() {
		t.Errorf("what it held will be %+v, %v", info, err)
	}
}
