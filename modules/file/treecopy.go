package file

import (
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"muster/host"
)

// TreeItem is one thing in a tree that has to change.
type TreeItem struct {
	Path   string        `json:"path"` // relative to the tree
	Before host.FileInfo `json:"before"`
	After  host.FileInfo `json:"after"`
}

// replaced reports whether something else takes the place of what stands there.
func (i TreeItem) replaced() bool {
	return i.Before.Type != i.After.Type || i.Before.Sum != i.After.Sum || i.Before.Target != i.After.Target
}

// left is what stands there in the end.
func (i TreeItem) left() host.FileInfo {
	if i.replaced() {
		return i.After.Replaced()
	}
	return i.After.Given(i.Before)
}

// change tells a name's change, and what is lost by it, apart.
func (i TreeItem) change() (what string, lost []string) {
	if !i.Before.Exists() {
		return "", nil
	}
	lost = host.Losses(i.Before, i.After, i.replaced())
	if i.Before.Type != i.After.Type {
		if i.Before.Type == host.Symlink { // said by what is lost
			return "", lost
		}
		return fmt.Sprintf("%s → %s", i.Before.Type, i.After.Type), lost
	}
	return host.AttrDiff(i.Before, i.After), lost
}

// CopyTree makes a directory hold what a tree of the project or of another host does: files,
// directories and links, in one change. Everything is reached from the
// directory itself, so that no link leads the copy out of it.
type CopyTree struct {
	Path     string       `json:"path"` // an existing directory, resolved
	Manifest host.Content `json:"manifest"`
	// From is the host that sends the files; "": the project has them.
	From  string     `json:"from,omitempty"`
	Items []TreeItem `json:"items,omitempty"` // a directory before what is in it
	Purge []string   `json:"purge,omitempty"` // relative paths to remove
	// Cache is the file that keeps the manifest; "": none.
	Cache string           `json:"cache,omitempty"`
	Does  host.Description `json:"does"`
}

// Type is "tree.copy/1".
func (*CopyTree) Type() string { return "tree.copy/1" }

// Describe tells the totals and the first 20 names.
func (c *CopyTree) Describe() host.Description { return c.Does }

// Effects is everything in the tree that is made, altered or removed.
func (c *CopyTree) Effects() []host.Effect {
	list := make([]host.Effect, 0, len(c.Items)+len(c.Purge))
	for _, p := range c.Purge {
		list = append(list, host.Gone(host.File(filepath.Join(c.Path, p))))
	}
	for _, i := range c.Items {
		list = append(list, host.Is(host.File(filepath.Join(c.Path, i.Path)), i.left()))
	}
	return list
}

// Obstacle is why something in the tree couldn't be made, altered or removed.
func (c *CopyTree) Obstacle(v *host.View) error {
	for _, p := range c.Purge {
		at := filepath.Join(c.Path, p)
		before, err := v.Lstat(at)
		if err == nil {
			err = v.Obstacle(at, host.Removing, before, host.FileInfo{})
		}
		if err != nil {
			return err
		}
	}
	return obstacles(v, c.Path, c.Items)
}

// obstacles returns the first one in a tree. What is in a directory that is to be made
// yet has none of its own.
func obstacles(v *host.View, root string, items []TreeItem) error {
	made, dirs := map[string]bool{}, map[string]host.FileInfo{}
	for _, i := range items {
		if made[filepath.Dir(i.Path)] {
			made[i.Path] = true
			continue
		}
		made[i.Path] = i.After.Type == host.Directory && i.Before.Type != host.Directory
		how := host.Altering
		if i.replaced() {
			how = host.Putting
		}
		at := filepath.Join(root, i.Path)
		err := v.Obstacle(at, how, i.Before, i.After)
		if dir, ok := dirs[filepath.Dir(i.Path)]; ok && err != nil { // as its directory will be by then
			err = v.Behind([]host.Effect{host.Is(host.File(filepath.Dir(at)), dir)}).Obstacle(at, how, i.Before, i.After)
		}
		if err != nil {
			return err
		}
		if i.After.Type == host.Directory {
			dirs[i.Path] = i.After
		}
	}
	return nil
}

// Interruptible: what is copied stays, and the next run copies the rest.
func (*CopyTree) Interruptible() {}

// summarize fills in Does; made says that the directory itself is new.
func (c *CopyTree) summarize(made bool) {
	var diff treeDiff
	var lost losses
	var files, bytes, dirs, links, attrs int64
	c.Does = host.Description{Action: host.Update, Target: c.Path}
	if made {
		c.Does.Action = host.Create
	}
	for _, p := range c.Purge {
		diff.add("-", p, "")
	}
	for _, i := range c.Items {
		mark := "+"
		if i.Before.Exists() {
			mark = "~"
		}
		what, loses := i.change()
		switch {
		case !i.replaced():
			attrs++
		case i.After.Type == host.Directory:
			dirs++
		case i.After.Type == host.Symlink:
			links++
			what = "→ " + shown(i.After.Target)
		default:
			files++
			bytes += i.After.Size
		}
		diff.add(mark, i.Path, what, loses...)
		lost.add(i.Path, loses)
	}
	var parts []string
	for _, n := range []struct {
		count     int64
		one, many string
		more      string
	}{
		{files, "file", "files", " (" + host.Counted(bytes, "byte", "bytes") + ")"}, {dirs, "directory", "directories", ""}, {links, "link", "links", ""},
		{attrs, "mode or owner", "modes or owners", ""}, {int64(len(c.Purge)), "removed", "removed", ""},
	} {
		if n.count > 0 {
			parts = append(parts, host.Counted(n.count, n.one, n.many)+n.more)
		}
	}
	c.Does.Diff, c.Does.Impact = diff.String(), "tree: "+strings.Join(parts, ", ")+lost.String()
}

// shown is a host's file name as it is put on a line.
func shown(name string) string {
	if utf8.ValidString(name) && !strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return name
	}
	return strconv.QuoteToASCII(name)
}

// Apply purges, then copies entry by entry, and syncs the file system once.
func (c *CopyTree) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	t, err := openTree(c.Path)
	if err != nil {
		return host.Result{}, err
	}
	defer t.close()
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	for _, p := range c.Purge {
		if err := t.remove(p); err != nil {
			return host.Result{}, fmt.Errorf("removing %s: %w", filepath.Join(c.Path, p), err)
		}
		if err := h.At("purged " + p); err != nil {
			return host.Result{}, err
		}
	}
	bodies, ended := c.bodies(ctx, h)
	defer bodies.close()
	for n, item := range c.Items {
		if err := ctx.Err(); err != nil {
			return host.Result{}, fmt.Errorf("stopped after %d of %d things in %s: %w", n, len(c.Items), c.Path, context.Cause(ctx))
		}
		if err := t.put(item, func() (io.ReadCloser, error) { return bodies.open(n) }, h.At); err != nil {
			return host.Result{}, fmt.Errorf("copying %s: %w", filepath.Join(c.Path, item.Path), err)
		}
		if n%1000 == 999 && h.Report != nil {
			h.Report(fmt.Sprintf("%d of %d things in %s are copied", n+1, len(c.Items), c.Path))
		}
	}
	if err := ended(); err != nil {
		return host.Result{}, err
	}
	if err := t.root.SyncAll(); err != nil {
		return host.Result{}, err
	}
	keepManifest(ctx, h, c.Manifest, c.Cache)
	return host.Result{}, nil
}

// bodies are those of the items, from where they are; ended is asked when all are copied.
func (c *CopyTree) bodies(ctx context.Context, h *host.Host) (bodies interface {
	open(n int) (io.ReadCloser, error)
	close()
}, ended func() error) {
	if c.From == "" {
		return fetchAhead(ctx, h.Bodies, c.Items, c.Manifest.Sensitive), func() error { return nil }
	}
	r := newReceived(ctx, h, c.From, c.Items)
	return r, r.end
}

// SetTree gives things below a directory their mode and owner, in one change.
type SetTree struct {
	Path  string           `json:"path"`
	Items []TreeItem       `json:"items"`
	Does  host.Description `json:"does"`
}

// Type is "tree.attr/1".
func (*SetTree) Type() string { return "tree.attr/1" }

// Describe tells the total and the first 20 names.
func (s *SetTree) Describe() host.Description { return s.Does }

// Effects is everything that gets another mode or owner.
func (s *SetTree) Effects() []host.Effect {
	return (&CopyTree{Path: s.Path, Items: s.Items}).Effects()
}

// Obstacle is why something in the tree couldn't be altered.
func (s *SetTree) Obstacle(v *host.View) error { return obstacles(v, s.Path, s.Items) }

func (s *SetTree) summarize() {
	var diff treeDiff
	var lost losses
	for _, i := range s.Items {
		what, loses := i.change()
		diff.add("~", i.Path, what, loses...)
		lost.add(i.Path, loses)
	}
	s.Does = host.Description{Action: host.Update, Target: s.Path, Diff: diff.String(), Impact: "mode or owner of " + host.Counted(len(s.Items), "thing", "things") + " below it" + lost.String()}
}

// Apply changes them one by one; none is opened for reading or writing.
func (s *SetTree) Apply(_ context.Context, h *host.Host) (host.Result, error) {
	t, err := openTree(s.Path)
	if err != nil {
		return host.Result{}, err
	}
	defer t.close()
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	for _, item := range s.Items {
		dir, base, err := t.at(item.Path)
		if err == nil {
			_, err = item.unmoved(dir, base)
		}
		if err == nil {
			err = t.setAttr(dir, base, item)
		}
		if err == nil {
			err = h.At("set " + item.Path)
		}
		if err != nil {
			return host.Result{}, fmt.Errorf("%s: %w", filepath.Join(s.Path, item.Path), err)
		}
	}
	return host.Result{}, nil
}
