package view

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/hashicorp/hcl/v2"

	"muster/host"
	"muster/internal/drift"
	"muster/internal/engine"
	"muster/internal/lang/diag"
	"muster/internal/task"
	"muster/internal/wire"
)

// Format is the version of the JSON lines: the first number moves where a
// reader of an older one would be misled.
const Format = "2.0"

// Version is muster's own. It is a variable for the linker alone: tests/dist.sh has it set to what git says.
var Version = "0.1.0"

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

// line prints an object. One that can't be is an error in the stream: whoever reads it
// would take what is missing for what didn't happen. That writing fails is found by who
// owns the stream.
func (v *jsonView) line(x any) {
	err := v.enc.Encode(x)
	var impossible *json.MarshalerError
	var unsupported *json.UnsupportedValueError
	if errors.As(err, &impossible) || errors.As(err, &unsupported) {
		_ = v.enc.Encode(jsonDiagnostic{Type: "diagnostic", Severity: "error", Summary: "an event can't be told as JSON: " + err.Error()})
	}
}

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
	Type string `json:"type"`
	task.Ref
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
			Type: "task", Ref: e.Ref, Status: e.Status,
			Changes: e.Changes, Then: e.Then, Always: e.Always, Error: e.Error, Tolerated: e.Tolerated, Output: e.Output,
			File: e.File, Line: e.Line, Seconds: e.Seconds,
		}
		if t.Changes == nil {
			t.Changes = []host.Description{}
		}
		if e.Status == wire.Pending {
			t.Certainty = e.Certainty
		}
		if len(t.Output) > 0 && !json.Valid(t.Output) {
			t.Output = nil
			defer v.Error(fmt.Errorf("%s: the output of %s isn't JSON: %q", e.Host, e.Name, e.Output[:min(len(e.Output), 200)]))
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
		j := jsonDiagnostic{Type: "diagnostic", Severity: severity(d), Summary: d.Summary, Detail: d.Detail, Hint: diag.Hint(d)}
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

func (v *jsonView) Rotation(r Rotation) {
	v.line(struct {
		Type     string `json:"type"`
		Rotation string `json:"rotation"`
		Secret   string `json:"secret"`
		Step     string `json:"step"`
		Text     string `json:"text"`
	}{"rotation", r.Name, r.Secret, r.Step, r.Text})
}

type jsonCounts struct {
	Unchanged   int                 `json:"unchanged"`
	Changed     int                 `json:"changed"`
	Pending     int                 `json:"pending"`
	Always      int                 `json:"always,omitempty"`
	Checks      int                 `json:"checks,omitempty"`
	Failed      int                 `json:"failed"`
	Tolerated   int                 `json:"tolerated,omitempty"`
	Skipped     int                 `json:"skipped"`
	NotReached  int                 `json:"not_reached"`
	Unknown     int                 `json:"unknown"`
	Unreachable bool                `json:"unreachable"`
	Unplanned   bool                `json:"unplanned,omitempty"`
	Actions     map[host.Action]int `json:"actions,omitempty"`
}

func (v *jsonView) Summary(s *engine.Summary, end End) {
	hosts := map[string]jsonCounts{}
	for name, c := range s.Hosts {
		hosts[name] = jsonCounts{
			Unchanged: c.Unchanged, Changed: c.Changed, Pending: c.Pending, Always: c.Always, Checks: c.Checks, Failed: c.Failed, Tolerated: c.Tolerated,
			Skipped: c.Skipped, NotReached: c.NotReached, Unknown: c.Unknown, Unreachable: c.Unreachable, Unplanned: c.Stopped, Actions: c.Actions,
		}
	}
	v.line(struct {
		Type    string                `json:"type"`
		Outcome engine.Outcome        `json:"outcome"`
		Run     string                `json:"run,omitempty"`
		Hosts   map[string]jsonCounts `json:"hosts"`
		Seconds float64               `json:"seconds"`
		Next    string                `json:"next,omitempty"`
	}{"summary", s.Outcome, end.Run, hosts, end.Seconds, end.Next})
}

// Drift prints each drift, and then the check.
func (v *jsonView) Drift(c *drift.Check) {
	moment := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z07:00") }
	for i := range c.Items {
		d := &c.Items[i]
		changes := d.Changes
		if changes == nil {
			changes = []host.Description{}
		}
		v.line(struct {
			Type     string      `json:"type"`
			State    drift.State `json:"state"`
			Playbook string      `json:"playbook"`
			task.Ref
			Certainty wire.Certainty     `json:"certainty"`
			Changes   []host.Description `json:"changes"`
			Since     string             `json:"since"`
			Altered   bool               `json:"altered,omitempty"`
			Returned  int                `json:"returned"`
			Contested bool               `json:"contested,omitempty"`
			Run       string             `json:"run,omitempty"`
			By        string             `json:"by,omitempty"`
			File      string             `json:"file,omitempty"`
			Line      int                `json:"line,omitempty"`
			Known     []string           `json:"known,omitempty"`
		}{"drift", d.State, d.Playbook, d.Ref(), d.Certainty, changes, moment(d.Since),
			d.Altered, d.Returned, d.Contested, d.PutRight.ID, d.PutRight.By, d.File, d.Line, d.Known})
	}
	away := []string{}
	for _, l := range c.Unreached() {
		if !slices.Contains(away, l.Host) {
			away = append(away, l.Host)
		}
	}
	v.line(struct {
		Type       string   `json:"type"`
		Check      string   `json:"check,omitempty"`
		Last       string   `json:"last,omitempty"`
		Playbooks  []string `json:"playbooks"`
		New        int      `json:"new"`
		Still      int      `json:"still"`
		Gone       int      `json:"gone"`
		Unchecked  int      `json:"unchecked"`
		Contested  int      `json:"contested"`
		NotChecked []string `json:"not_checked"`
	}{"check", c.ID, c.Last, c.Playbooks, c.Count(drift.New), c.Count(drift.Still), c.Count(drift.Gone), c.Count(drift.Unchecked), c.Contested(), away})
}
