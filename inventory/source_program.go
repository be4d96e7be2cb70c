package inventory

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// maxOutput is how much a program may print: about a hundred thousand hosts.
const maxOutput = 64 << 20

// programSource runs a program that prints what an Ansible inventory script
// prints for --list:
//
//	{"web": {"hosts": ["web1"], "children": […], "vars": {…}}, "_meta": {"hostvars": {"web1": {…}}}}
//
// The program is run in the folder of the block's file, exactly as written:
// no --list is added, and --host is never asked for. See
// https://docs.ansible.com/ansible/latest/dev_guide/developing_inventory.html.
type programSource struct{}

func (programSource) Arguments() []Argument {
	return []Argument{{Name: "command", Type: cty.List(cty.String), Required: true}}
}

func (programSource) Remote() bool { return true }

func (programSource) Open(b Block) (Lister, error) {
	argv := b.Texts("command")
	if len(argv) == 0 || argv[0] == "" {
		return nil, &ArgumentError{"command", errors.New("a program is needed, such as [\"./hosts.sh\"]")}
	}
	dir := filepath.Dir(b.File)
	if strings.ContainsRune(argv[0], filepath.Separator) {
		argv = slices.Clone(argv)
		path, err := filepath.Abs(beside(b.File, argv[0], ""))
		if err != nil {
			return nil, &ArgumentError{"command", err}
		}
		argv[0] = path
	}
	return &program{argv: argv, dir: dir, file: b.File}, nil
}

type program struct {
	argv []string
	dir  string
	file string
}

// List runs the program. When ctx ends it is killed, with what it started.
func (p *program) List(ctx context.Context) (*Listing, error) {
	cmd := exec.CommandContext(ctx, p.argv[0], p.argv[1:]...)
	cmd.Dir = p.dir
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = 2 * time.Second // for what holds its pipes open
	stdout, stderr := &capped{limit: maxOutput}, &capped{limit: 4 << 10, drop: true}
	cmd.Stdout, cmd.Stderr = stdout, stderr
	if err := cmd.Run(); err != nil {
		if text := strings.TrimSpace(stderr.String()); text != "" {
			return nil, fmt.Errorf("running %s: %w, and it said %s", quote(p.argv[0]), err, quote(lastLine(text)))
		}
		return nil, fmt.Errorf("running %s: %w", quote(p.argv[0]), err)
	}
	l, err := parseScript(stdout.Bytes())
	if err != nil {
		return nil, fmt.Errorf("reading what %s printed: %w", quote(p.argv[0]), err)
	}
	return l, nil
}

func lastLine(s string) string { return s[strings.LastIndexByte(s, '\n')+1:] }

// capped keeps what is written to it, up to a limit; beyond it writing fails,
// or what is written is dropped.
type capped struct {
	bytes.Buffer
	limit int
	drop  bool
}

func (c *capped) Write(p []byte) (int, error) {
	if c.Len()+len(p) <= c.limit {
		return c.Buffer.Write(p)
	}
	if c.drop {
		c.Reset() // what was said last is kept
		_, err := c.Buffer.Write(p[max(0, len(p)-c.limit):])
		return len(p), err
	}
	return 0, fmt.Errorf("more than %d bytes", c.limit)
}

// ReadFrom hides the buffer's own, which knows no limit.
func (c *capped) ReadFrom(r io.Reader) (int64, error) {
	return io.Copy(struct{ io.Writer }{c}, r)
}

// scriptGroup is a group as inventory scripts print it; a bare list of hosts
// stands for one, too.
type scriptGroup struct {
	Hosts    []string                   `json:"hosts"`
	Children []string                   `json:"children"`
	Vars     map[string]json.RawMessage `json:"vars"`
}

func (g *scriptGroup) UnmarshalJSON(data []byte) error {
	if data[0] == '[' {
		return json.Unmarshal(data, &g.Hosts)
	}
	type plain scriptGroup
	return json.Unmarshal(data, (*plain)(g))
}

// parseScript reads what an inventory script prints for --list.
func parseScript(data []byte) (*Listing, error) {
	if trimmed := bytes.TrimSpace(data); len(trimmed) == 0 || trimmed[0] != '{' {
		return nil, errors.New("it is no JSON object")
	}
	groups := orderedObject{}
	if err := json.Unmarshal(data, &groups); err != nil {
		return nil, err
	}
	a := newAnsible()
	for _, member := range groups {
		if member.name == "_meta" {
			var meta struct {
				Hostvars map[string]map[string]json.RawMessage `json:"hostvars"`
			}
			if err := json.Unmarshal(member.value, &meta); err != nil {
				return nil, fmt.Errorf("_meta: %w", err)
			}
			for _, host := range slices.Sorted(maps.Keys(meta.Hostvars)) {
				vars, err := jsonVars(meta.Hostvars[host])
				if err != nil {
					return nil, fmt.Errorf("_meta: hostvars: %s: %w", quote(host), err)
				}
				a.extra[host] = vars
			}
			continue
		}
		var g scriptGroup
		if err := json.Unmarshal(member.value, &g); err != nil {
			return nil, fmt.Errorf("group %s: %w", quote(member.name), err)
		}
		vars, err := jsonVars(g.Vars)
		if err != nil {
			return nil, fmt.Errorf("group %s: %w", quote(member.name), err)
		}
		group := a.group(member.name)
		group.set(vars)
		for _, h := range g.Hosts {
			group.addHost(a.host(h))
		}
		for _, c := range g.Children {
			group.addChild(a.group(c))
		}
	}
	return a.listing(), nil
}

// orderedObject is a JSON object whose members keep their order.
type orderedObject []member

type member struct {
	name  string
	value json.RawMessage
}

func (o *orderedObject) UnmarshalJSON(data []byte) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	if _, err := dec.Token(); err != nil {
		return err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return err
		}
		var m member
		m.name = key.(string) // a member's name can be nothing else
		if err := dec.Decode(&m.value); err != nil {
			return err
		}
		*o = append(*o, m)
	}
	return nil
}

// jsonVars turns a JSON object into variables, sorted by name.
func jsonVars(object map[string]json.RawMessage) ([]Value, error) {
	vars := make([]Value, 0, len(object))
	for _, name := range slices.Sorted(maps.Keys(object)) {
		t, err := ctyjson.ImpliedType(object[name])
		if err != nil {
			return nil, fmt.Errorf("%s: %w", quote(name), err)
		}
		v, err := ctyjson.Unmarshal(object[name], t)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", quote(name), err)
		}
		vars = append(vars, Value{Name: name, Value: v})
	}
	return vars, nil
}
