package lang

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/zclconf/go-cty/cty"

	"muster/host"
	"muster/internal/lang/plays"
	"muster/modules"
	"muster/secret"
)

// The kinds of the tests: they have arguments, and do nothing.

type idle struct{}

func (idle) Plan(context.Context, *host.View) (modules.Plan, error) { return modules.Plan{}, nil }

type fileKindT struct {
	idle
	Path     string        `arg:"path,key,path,required"`
	Content  *host.Content `arg:"content"`
	Source   *host.Content `arg:"source,file"`
	Mode     *mode         `arg:"mode"`
	Owner    string        `arg:"owner"`
	State    string        `arg:"state" oneof:"present absent"`
	Validate []string      `arg:"validate"`
	Backup   bool          `arg:"backup"`
}

func (f *fileKindT) Check(unknown func(string) bool) []modules.ArgError {
	if !unknown("path") && !strings.HasPrefix(f.Path, "/") {
		return []modules.ArgError{{Arg: "path", Summary: "Wrong value", Detail: fmt.Sprintf("%q is no absolute path.", f.Path)}}
	}
	if f.Source != nil && (f.Content != nil || f.State == "absent") {
		return []modules.ArgError{{Arg: "source", Summary: "Conflicting arguments", Detail: "The file has no use for a source."}}
	}
	return nil
}

type mode string

func (m *mode) UnmarshalText(b []byte) error {
	if len(b) < 3 || strings.Trim(string(b), "01234567") != "" {
		return fmt.Errorf("%q is no mode", b)
	}
	*m = mode(b)
	return nil
}

type templateKind struct {
	idle
	Path   string         `arg:"path,key,path,required"`
	Source *host.Content  `arg:"source,template,required"`
	Vars   map[string]any `arg:"vars"`
	Mode   *mode          `arg:"mode"`
}

type directoryKind struct {
	idle
	Path   string        `arg:"path,key,path,required"`
	Source *host.Content `arg:"source,tree"`
	State  string        `arg:"state" oneof:"present absent"`
}

func (d *directoryKind) Check(func(string) bool) []modules.ArgError {
	if d.Source != nil && d.State == "absent" {
		return []modules.ArgError{{Arg: "source", Summary: "Conflicting arguments", Detail: "The directory has no use for a source."}}
	}
	return nil
}

type scriptKind struct {
	idle
	Source *host.Content `arg:"source,key,file,required"`
}

// readKind looks at what its file holds.
type readKind struct {
	idle
	Name   string        `arg:"name,key,required"`
	Source *host.Content `arg:"source,file,read"`
}

func (r *readKind) Check(func(string) bool) []modules.ArgError {
	if r.Source != nil && strings.Contains(string(r.Source.Data), "bad") {
		return []modules.ArgError{{Arg: "source", Summary: "Wrong file", Detail: "Line 2: it is bad."}}
	}
	return nil
}

type packageKind struct {
	idle
	Name  modules.OneOrMore `arg:"name,key,required"`
	State string            `arg:"state" oneof:"present absent latest"`
}

type serviceKind struct {
	idle
	Name      string   `arg:"name,key,required"`
	Enabled   *bool    `arg:"enabled"`
	RestartOn []string `arg:"restart_on"`
	ReloadOn  []string `arg:"reload_on"`
}

type commandKind struct {
	idle
	Argv        []string          `arg:"argv"`
	Shell       string            `arg:"shell"`
	Env         map[string]string `arg:"env"`
	Stdin       *host.Content     `arg:"stdin"`
	ChangedWhen *bool             `arg:"changed_when"`
	FailedWhen  *bool             `arg:"failed_when"`
	Creates     string            `arg:"creates"`
}

type commandOutput struct {
	Stdout   string `json:"stdout"`
	Stderr   string `json:"stderr"`
	ExitCode int    `json:"exit_code"`
}

type userKind struct {
	idle
	Name     string   `arg:"name,key,required"`
	UID      *int     `arg:"uid"`
	Password string   `arg:"password,sensitive"`
	Valid    []string `versions:"password"`
	Logins   []string `arg:"logins,united"`
	Keys     []key    `arg:"keys"`
	Limits   *limits  `arg:"limits"`
}

// guardKind lets one value in of each name.
type guardKind struct {
	idle
	Name  string            `arg:"name,key,required"`
	Hash  string            `arg:"hash,sensitive,single"`
	Users map[string]string `arg:"users,sensitive,single"`
}

type key struct {
	Key     string   `arg:"key,required"`
	Options []string `arg:"options"`
}

type limits struct {
	Files int      `arg:"files"`
	Rules []rule   `arg:"rules"`
	Extra *limits2 `arg:"extra"`
}

type limits2 struct {
	Deep string `arg:"deep"`
}

type rule struct {
	Name string `arg:"name,required"`
}

// proxyKind has arguments that are maps of objects, with more of them inside.
type proxyKind struct {
	idle
	Global   *proxyGlobal         `arg:"global"`
	Frontend map[string]proxyPart `arg:"frontend"`
}

type proxyGlobal struct {
	Maxconn int `arg:"maxconn"`
}

type proxyPart struct {
	Mode    string                 `arg:"mode" oneof:"http tcp"`
	Bind    []proxyBind            `arg:"bind"`
	Servers map[string]proxyServer `arg:"servers"`
	ACL     map[string]string      `arg:"acl"`
}

type proxyBind struct {
	Address string   `arg:"address,required"`
	ALPN    []string `arg:"alpn"`
}

type proxyServer struct {
	Address string `arg:"address,required"`
	Weight  int    `arg:"weight"`
}

type checkKind struct {
	idle
	URL string `arg:"url,key,required"`
}

type httpOutput struct {
	Status int    `json:"status"`
	Body   string `json:"body"`
}

func testKinds() *modules.Registry {
	return modules.NewRegistry(
		modules.Kind{Name: "file", New: func() modules.Module { return &fileKindT{} }},
		modules.Kind{Name: "template", New: func() modules.Module { return &templateKind{} }},
		modules.Kind{Name: "directory", New: func() modules.Module { return &directoryKind{} }},
		modules.Kind{Name: "script", New: func() modules.Module { return &scriptKind{} }},
		modules.Kind{Name: "read", New: func() modules.Module { return &readKind{} }},
		modules.Kind{Name: "package", New: func() modules.Module { return &packageKind{} }},
		modules.Kind{Name: "service", New: func() modules.Module { return &serviceKind{} }},
		modules.Kind{Name: "command", Output: commandOutput{}, New: func() modules.Module { return &commandKind{} }},
		modules.Kind{Name: "proxy", New: func() modules.Module { return &proxyKind{} }},
		modules.Kind{Name: "replica", New: func() modules.Module { return &replicaKind{} }},
		modules.Kind{Name: "donor", Companion: true, New: func() modules.Module { return &donorKind{} }},
		modules.Kind{Name: "user", New: func() modules.Module { return &userKind{} }},
		modules.Kind{Name: "guard", New: func() modules.Module { return &guardKind{} }},
		modules.Kind{Name: "http_check", Output: httpOutput{}, Probe: true, New: func() modules.Module { return &checkKind{} }},
	)
}

var factsType = cty.Object(map[string]cty.Type{
	"os":        cty.Object(map[string]cty.Type{"id": cty.String, "version": cty.String, "codename": cty.String}),
	"memory":    cty.Number,
	"addresses": cty.List(cty.String),
	"mounts":    cty.Map(cty.Object(map[string]cty.Type{"size": cty.Number})),
})

func testFleet() *plays.Fleet {
	str := cty.StringVal
	return &plays.Fleet{
		Hosts: []plays.Host{
			{Name: "lb1", Address: "10.0.0.1", Groups: []string{"lb"}, Vars: map[string]cty.Value{"tier": str("edge")}},
			{Name: "app1", Address: "10.0.0.11", Groups: []string{"app"}, Vars: map[string]cty.Value{"port": cty.NumberIntVal(8080), "tier": str("inner")}},
			{Name: "app2", Address: "10.0.0.12", Groups: []string{"app"}, Vars: map[string]cty.Value{"port": cty.NumberIntVal(8081), "tier": str("inner"), "extra": str("x")}},
			{Name: "db1", Address: "10.0.0.21", Groups: []string{"db"}, Vars: map[string]cty.Value{"server_id": cty.NumberIntVal(1)}},
		},
		Groups: map[string][]string{"all": {"lb1", "app1", "app2", "db1"}, "lb": {"lb1"}, "app": {"app1", "app2"}, "db": {"db1"}},
	}
}

// fakeSecrets are values by name: those of one secret that are valid have "|" between
// them, newest first, and that to be used begins with "*" where there are several; "=": with it alone.
type fakeSecrets map[string]string

func (f fakeSecrets) Names() []string { return slices.Sorted(maps.Keys(f)) }

func (f fakeSecrets) Open() (list []string) {
	for _, name := range f.Names() {
		if strings.Contains(f[name], "|") {
			list = append(list, name)
		}
	}
	return list
}

func (f fakeSecrets) Versions(_, name string) (v plays.SecretVersions, err error) {
	text, ok := f[name]
	if !ok {
		return v, fmt.Errorf("no such secret")
	}
	for i, value := range strings.Split(text, "|") {
		if value[0] == '*' || value[0] == '=' {
			v.Only = value[0] == '='
			v.Use, value = i, value[1:]
		}
		if value[0] == '-' {
			v.Ending, value = v.Ending+1, value[1:]
		}
		v.Valid = append(v.Valid, secret.New(value))
	}
	return v, nil
}

// replicaKind needs another host.
type replicaKind struct {
	idle
	Path    string `arg:"path,key,path,required"`
	Primary string `arg:"primary"`
	// Discards are hosts, too.
	Discards []string `arg:"discards"`

	unknown bool
}

func (k *replicaKind) Hosts() (list []modules.NamedHost) {
	for i, h := range k.Discards {
		list = append(list, modules.NamedHost{Host: h, Arg: "discards", Path: fmt.Sprintf("[%d]", i)})
	}
	return list
}

func (k *replicaKind) Check(unknown func(string) bool) []modules.ArgError {
	k.unknown = unknown("primary")
	return nil
}

func (k *replicaKind) Companions() []modules.Companion {
	if k.Primary == "" && !k.unknown {
		return nil
	}
	return []modules.Companion{{Host: k.Primary, Arg: "primary", Kind: "donor"}}
}

// donorKind is what it needs there.
type donorKind struct{ idle }
