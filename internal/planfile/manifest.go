package planfile

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// The entries of the archive.
const (
	stampEntry    = "muster-plan" // the first, so that a plan file is known by its first bytes
	manifestEntry = "manifest.json"
	sealedEntry   = "sealed.age"
	filesFolder   = "files/" // by sum
)

func inventoryEntry(i int) string { return fmt.Sprintf("inventory/%06d.hcl", i) }

// manifest is a plan without the bytes of its files.
type manifest struct {
	Muster        string                     `json:"muster"`
	Created       string                     `json:"created"`
	By            string                     `json:"by"`
	Playbook      text                       `json:"playbook"`
	Dir           text                       `json:"dir"`
	Root          text                       `json:"root,omitempty"`
	Limit         []string                   `json:"limit,omitempty"`
	Tags          []string                   `json:"tags,omitempty"`
	SkipTags      []string                   `json:"skip_tags,omitempty"`
	Files         []fileEntry                `json:"files"`
	Inventory     int                        `json:"inventory"` // how many files
	SealInventory bool                       `json:"seal_inventory,omitempty"`
	Variables     []Variable                 `json:"variables,omitempty"`
	Secrets       []Secret                   `json:"secrets,omitempty"`
	Facts         map[string]json.RawMessage `json:"facts,omitempty"`
	Pins          map[string]string          `json:"pins,omitempty"`
	Tasks         []Task                     `json:"tasks"`
	Rescues       []Rescue                   `json:"rescues,omitempty"`
	Key           []byte                     `json:"key,omitempty"` // not there: sealed
}

type fileEntry struct {
	Name      text     `json:"name"`
	Type      FileType `json:"type,omitempty"`
	Exec      bool     `json:"exec,omitempty"`
	Target    text     `json:"target,omitempty"`
	Sensitive bool     `json:"sensitive,omitempty"`
	Sum       string   `json:"sum,omitempty"`
	Size      int64    `json:"size,omitempty"`
}

// manifest returns p's, with its files in the order of their paths.
func (p *Plan) manifest() *manifest {
	m := &manifest{
		Muster: p.Muster, Created: p.Created.UTC().Format(time.RFC3339), By: p.By,
		Playbook: text(p.Playbook), Dir: text(p.Dir), Root: text(p.Root),
		Limit: p.Limit, Tags: p.Tags, SkipTags: p.SkipTags,
		Files: []fileEntry{}, Inventory: len(p.Inventory), SealInventory: p.SealInventory,
		Variables: p.Variables, Secrets: p.Secrets, Facts: p.Facts, Pins: p.Pins, Tasks: p.Tasks, Rescues: p.Rescues,
	}
	if m.Tasks == nil {
		m.Tasks = []Task{}
	}
	for i := range p.Files {
		f := &p.Files[i]
		m.Files = append(m.Files, fileEntry{Name: text(f.Name), Type: f.Type, Exec: f.Exec, Target: text(f.Target), Sensitive: f.Sensitive})
	}
	return m
}

// decodeManifest is strict: what it doesn't know could mean something.
func decodeManifest(data []byte) (*manifest, error) {
	if err := checkDepth(data); err != nil {
		return nil, err
	}
	m := &manifest{}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(m); err != nil {
		return nil, err
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("there is more than one value")
	}
	return m, nil
}

// plan returns the plan of a manifest, checked, but for the bytes.
func (m *manifest) plan() (*Plan, error) {
	created, err := time.Parse(time.RFC3339, m.Created)
	if err != nil {
		return nil, err
	}
	p := &Plan{
		Muster: m.Muster, Created: created, By: m.By,
		Playbook: string(m.Playbook), Dir: string(m.Dir), Root: string(m.Root),
		Limit: m.Limit, Tags: m.Tags, SkipTags: m.SkipTags, SealInventory: m.SealInventory,
		Variables: m.Variables, Secrets: m.Secrets, Facts: m.Facts, Pins: m.Pins, Tasks: m.Tasks, Rescues: m.Rescues, Key: m.Key,
	}
	for i := range m.Files {
		f := &m.Files[i]
		if hasBody := f.Type == Regular && !f.Sensitive; hasBody != isSum(f.Sum) || !hasBody && (f.Sum != "" || f.Size != 0) {
			return nil, fmt.Errorf("the file %q has no sum, or has one too many", f.Name)
		}
		p.Files = append(p.Files, File{
			Name: string(f.Name), Type: f.Type, Exec: f.Exec, Target: string(f.Target), Sensitive: f.Sensitive, Sum: f.Sum, Size: f.Size,
		})
	}
	if m.Inventory < 0 || m.Inventory > MaxFiles {
		return nil, fmt.Errorf("an inventory of %d files", m.Inventory)
	}
	if err := p.check(); err != nil {
		return nil, err
	}
	sealed := p.sensitive() != ""
	if sealed && p.Key != nil || !sealed && len(p.Key) != keySize {
		return nil, errors.New("its key is in clear and should be sealed, or isn't there")
	}
	return p, nil
}

func isSum(s string) bool {
	b, err := hex.DecodeString(s)
	return err == nil && len(b) == 32 && hex.EncodeToString(b) == s
}
