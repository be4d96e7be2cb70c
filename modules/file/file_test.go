package file

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"muster/host"
	"muster/modules"
	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) {
	kinds := append(Kinds(),
		modules.Kind{Name: "tree", New: func() modules.Module { return &treeCase{} }},
		modules.Kind{Name: "brings", New: func() modules.Module { return &bringsCase{} }},
		modules.Kind{Name: "anything", New: func() modules.Module { return &anythingCase{} }})
	modulestest.Run(t, kinds...)
}

// treeCase is a directory whose source is a folder of the case itself, read
// as the controller reads a folder of the project.
type treeCase struct {
	Path    string         `arg:"path,key,path,required"`
	From    string         `arg:"from,required"`
	Cache   string         `arg:"cache"`
	Mode    *host.ModeSpec `arg:"mode"`
	Owner   string         `arg:"owner"`
	Group   string         `arg:"group"`
	Recurse bool           `arg:"recurse"`
	Purge   bool           `arg:"purge"`
}

func (c *treeCase) May() []host.Effect { return []host.Effect{host.Open(host.Files, c.Path)} }

func (c *treeCase) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	m, bodies, err := modules.BuildManifest(c.From)
	if err != nil {
		return modules.Plan{}, err
	}
	err = filepath.WalkDir(c.From, func(path string, _ fs.DirEntry, _ error) error {
		_, err := v.Lstat(path) // what the controller reads is accounted for so
		return err
	})
	if err != nil {
		return modules.Plan{}, err
	}
	for _, at := range bodies {
		data, err := os.ReadFile(at)
		if err != nil {
			return modules.Plan{}, err
		}
		v.Keep(data, false)
	}
	data, err := m.Encode()
	if err != nil {
		return modules.Plan{}, err
	}
	content := v.Keep(data, false)
	cache := c.Cache
	if cache == "" {
		cache = c.From + ".cache"
	}
	d := &Directory{Path: c.Path, Source: &content, Mode: c.Mode, Owner: c.Owner, Group: c.Group, Recurse: c.Recurse, Purge: c.Purge, cache: cache}
	return d.Plan(ctx, v)
}

// bringsCase stands for a package: what it brings isn't known beforehand.
type bringsCase struct {
	Path string `arg:"path,key,path,required"`
	Link string `arg:"link"` // brings a link to this, instead of a folder
}

func (c *bringsCase) May() []host.Effect {
	return []host.Effect{host.May(host.Files), host.Open("brought", c.Path)}
}

func (c *bringsCase) Plan(_ context.Context, v *host.View) (modules.Plan, error) {
	if is, err := v.With(nil).Lstat(c.Path); err != nil || is.Exists() {
		return modules.Plan{}, err
	}
	made := host.Key{Space: "brought", Name: c.Path}
	if _, _, _, err := v.Look(made); err != nil {
		return modules.Plan{}, err
	}
	script := `mkdir -p "$1.new/conf/sub"; echo brought > "$1.new/conf/same"; mv "$1.new" "$1"`
	if c.Link != "" {
		script = `ln -s "$2" "$1"`
	}
	return modules.Plan{Changes: []host.Change{&host.RunProgram{
		Argv:   []string{"sh", "-c", script, "x", c.Path, c.Link},
		Does:   host.Description{Action: host.Run, Target: c.Path},
		Leaves: []host.Effect{host.May(host.Files), host.Open(made.Space, made.Name)},
	}}}, nil
}

// anythingCase stands for an unguarded command, which nothing is known about.
type anythingCase struct {
	Path string `arg:"path,key,path,required"` // made by it
}

func (c *anythingCase) Plan(context.Context, *host.View) (modules.Plan, error) {
	return modules.Plan{Always: true, Changes: []host.Change{&host.RunProgram{
		Argv:   []string{"mkdir", "-p", c.Path},
		Does:   host.Description{Action: host.Run, Target: c.Path},
		Leaves: []host.Effect{host.Open(host.All, host.All)},
	}}}, nil
}
