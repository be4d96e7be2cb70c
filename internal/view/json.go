package view

import (
	"encoding/json"
	"io"
	"time"

	"github.com/hashicorp/hcl/v2"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/lang"
	"muster/internal/wire"
)

// Format is the version of the JSON lines: the first number moves where a
// reader of an older one would be misled.
const Format = "1.0"

// Version is muster's own.
const Version = "0.1.0"

type jsonView struct {
	enc *json.Encoder
}

func newJSON(w io.Writer) *jsonView {
	v := &jsonView{enc: NewEncoder(w)}
	v.line(struct {
		Type   string `json:"type"`
		Muster string `json:"muster"`
		Format string `json:"format"`
	}{"version", Version, Format})
	return v
}

func (v *jsonView) line(x any) { _ = v.enc.Encode(x) }

// Begin shows nothing: a pass is seen from its events.
func (v *jsonView) Begin(Phase, []string) {}

func (v *jsonView) Plan(p Plan) {
	v.line(struct {
		Type     string   `json:"type"`
		Playbook string   `json:"playbook"`
		Created  string   `json:"created"`
		By       string   `json:"by"`
		Muster   string   `json:"muster"`
		Limit    []string `json:"limit,omitempty"`
		Tags     []string `json:"tags,omitempty"`
		SkipTags []string `json:"skip_tags,omitempty"`
		Sealed   bool     `json:"sealed,omitempty"`
	}{"plan", p.Playbook, p.Created.UTC().Format(time.RFC3339), p.By, p.Muster, p.Limit, p.Tags, p.SkipTags, p.Sealed})
}

// jsonTask is a task event.
type jsonTask struct {
	Type      string             `json:"type"`
	Host      string             `json:"host"`
	On        string             `json:"on,omitempty"`
	Play      string             `json:"play"`
	Role      string             `json:"role"`
	Task      string             `json:"task"`
	Key       string             `json:"key"`
	Kind      string             `json:"kind"`
	Status    wire.Status        `json:"status"`
	Certainty wire.Certainty     `json:"certainty,omitempty"`
	Changes   []host.Description `json:"changes"`
	Then      []host.Description `json:"then,omitempty"`
	Always    bool               `json:"always,omitempty"`
	Error     string             `json:"error,omitempty"`
	Tolerated bool               `json:"tolerated,omitempty"`
	Output    json.RawMessage    `json:"output,omitempty"`
	File      string             `json:"file,omitempty"`
	Line      int                `json:"line,omitempty"`
	Seconds   float64            `json:"seconds"`
}

func (v *jsonView) Event(e engine.Event) {
	switch e := e.(type) {
	case *engine.PlayEvent:
		v.line(struct {
			Type string `json:"type"`
			Play string `json:"play"`
		}{"play", e.Play})
	case *engine.HostEvent:
		v.line(struct {
			Type   string `json:"type"`
			Host   string `json:"host"`
			Status string `json:"status"`
			Error  string `json:"error"`
		}{"host", e.Host, string(status(e.Error)), e.Error.Error()})
	case *engine.RescueEvent:
		v.line(struct {
			Type  string   `json:"type"`
			Play  string   `json:"play"`
			Block string   `json:"block"`
			Hosts []string `json:"hosts"`
			Tasks []string `json:"tasks"`
		}{"rescue", e.Play, e.Block, e.Hosts, e.Tasks})
	case *engine.NoticeEvent:
		v.line(struct {
			Type string `json:"type"`
			Text string `json:"text"`
		}{"notice", e.Text})
	case *engine.ProgressEvent:
		v.line(struct {
			Type string `json:"type"`
			Host string `json:"host"`
			Task string `json:"task"`
			Text string `json:"text"`
		}{"progress", e.Host, e.Task, e.Text})
	case *engine.TaskEvent:
		t := jsonTask{
			Type: "task", Host: e.Host, On: e.On, Play: e.Play, Role: e.Role, Task: e.Task, Key: e.Key, Kind: e.Kind, Status: e.Status,
			Changes: e.Changes, Then: e.Then, Always: e.Always, Error: e.Error, Tolerated: e.Tolerated, Output: e.Output,
			File: e.File, Line: e.Line, Seconds: e.Seconds,
		}
		if t.Changes == nil {
			t.Changes = []host.Description{}
		}
		if e.Status == wire.Pending {
			t.Certainty = e.Certainty
		}
		v.line(t)
	}
}

// status is that of a host that can't be used.
func status(err error) wire.Status {
	if engine.IsUnreachable(err) {
		return wire.Unreachable
	}
	return wire.Failed
}

type jsonDiagnostic struct {
	Type     string `json:"type"`
	Severity string `json:"severity"`
	Summary  string `json:"summary"`
	Detail   string `json:"detail,omitempty"`
	Hint     string `json:"hint,omitempty"`
	File     string `json:"file,omitempty"`
	Line     int    `json:"line,omitempty"`
	Column   int    `json:"column,omitempty"`
}

func (v *jsonView) Diagnostics(diags hcl.Diagnostics, _ map[string][]byte) {
	for _, d := range diags {
		j := jsonDiagnostic{Type: "diagnostic", Severity: severity(d), Summary: d.Summary, Detail: d.Detail, Hint: lang.Hint(d)}
		if d.Subject != nil {
			j.File, j.Line, j.Column = d.Subject.Filename, d.Subject.Start.Line, d.Subject.Start.Column
		}
		v.line(j)
	}
}

func severity(d *hcl.Diagnostic) string {
	if d.Severity == hcl.DiagWarning {
		return "warning"
	}
	return "error"
}

func (v *jsonView) Error(err error) {
	v.line(jsonDiagnostic{Type: "diagnostic", Severity: "error", Summary: err.Error()})
}

func (v *jsonView) Warn(text string) {
	v.line(jsonDiagnostic{Type: "diagnostic", Severity: "warning", Summary: text})
}

type jsonCounts struct {
	Unchanged   int  `json:"unchanged"`
	Changed     int  `json:"changed"`
	Pending     int  `json:"pending"`
	Failed      int  `json:"failed"`
	Skipped     int  `json:"skipped"`
	Unknown     int  `json:"unknown"`
	Unreachable bool `json:"unreachable"`
}

func (v *jsonView) Summary(s *engine.Summary, seconds float64) {
	hosts := map[string]jsonCounts{}
	for name, c := range s.Hosts {
		hosts[name] = jsonCounts{c.Unchanged, c.Changed, c.Pending, c.Failed, c.Skipped, c.Unknown, c.Unreachable}
	}
	v.line(struct {
		Type    string                `json:"type"`
		Outcome engine.Outcome        `json:"outcome"`
		Hosts   map[string]jsonCounts `json:"hosts"`
		Seconds float64               `json:"seconds"`
	}{"summary", s.Outcome, hosts, seconds})
}
