package modulestest

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"testing"

	"muster/host"
	"muster/modules"
)

// copies is the project's folder, in which a case's task keeps its copy.
type copies struct{ c *conformance }

// Copy tells what the copy is.
func (k copies) Copy(_ context.Context, id string) (host.Copy, error) {
	var c host.Copy
	for _, ct := range k.c.tasks(silent{}) {
		m, errs := k.c.kinds.Decode(ct.kind, ct.args)
		if f, is := m.(modules.Copier); ct.id == id && is && len(errs) == 0 {
			to, path := f.CopyOf()
			c.Path = to + "/here" + path
		}
	}
	if c.Path == "" {
		return c, fmt.Errorf("the task %s keeps no copy", id)
	}
	text, there := k.c.text("copy"), k.c.has("copy")
	if k.c.brought != nil {
		text, there = *k.c.brought, true
	}
	if there {
		is := host.ContentOf([]byte(text), false)
		c.Sum, c.Size = is.Sum, is.Size
		if c.Size <= host.DiffLimit {
			c.Data = is.Data
		}
	}
	return c, nil
}

// Bring replaces the copy, if what comes is what was announced.
func (k copies) Bring(_ context.Context, _ string, content host.Content, r io.Reader) error {
	var b bytes.Buffer
	if _, err := io.Copy(&b, host.Verified(io.NopCloser(r), content)); err != nil {
		return err
	}
	text := b.String()
	k.c.brought = &text
	return nil
}

// compareCopy holds the copy against the section "copied"; without one, none was brought.
func (c *testCase) compareCopy(t testing.TB) {
	t.Helper()
	switch made := c.brought; {
	case c.has("copied") && (made == nil || *made != c.text("copied")):
		t.Errorf("the copy in the project isn't\n%s", c.text("copied"))
	case !c.has("copied") && made != nil:
		t.Errorf("a copy was brought to the project, and there is no section \"copied\":\n%s", *made)
	}
}
