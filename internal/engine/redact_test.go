package engine_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/wire"
	"muster/secret"
)

const sensitiveFile = `
play "p" {
  hosts = ["web1"]
  task "file" "DIR/production1" {
    content = sensitive("hunter2&hunter2")
  }
}
`

// TestNothingThatAHostSaysShowsASecret: a host that was told a secret says it wherever it can
// say something, written in each way.
func TestNothingThatAHostSaysShowsASecret(t *testing.T) {
	const value = "hunter2&hunter2"
	quoted, err := json.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", 4090) // what is shown of progress ends in the middle of the value
	for name, text := range map[string]string{
		"plain": value, "base64": base64.StdEncoding.EncodeToString([]byte("u:" + value)), "url": url.QueryEscape(value), "json": string(quoted),
		"lines": "hunter2&\nhunter2", "hex": fmt.Sprintf("%x", value), "cut": "hunter2&hun…", "long": long + value,
	} {
		t.Run(name, func(t *testing.T) {
			output, err := json.Marshal(map[string]any{text: []string{text}})
			if err != nil {
				t.Fatal(err)
			}
			list := []host.Description{{Action: host.Create, Target: text, Diff: text, Impact: text}}
			f := runHostile(t, sensitiveFile, func(c *wire.Conn, task *wire.Task) {
				for _, m := range []*wire.Message{
					{Progress: &wire.Progress{Text: text}},
					{Planned: &wire.Planned{ID: task.ID, Status: wire.Pending, Certainty: wire.Known, Changes: list, Then: list, Error: text, Output: output, Notes: []string{text}}},
					{Fault: &wire.Fault{Error: text}},
				} {
					if c.Send(m) != nil {
						return
					}
				}
			})
			told := 0
			for _, e := range f.events {
				said := fmt.Sprintf("%+v", e)
				if e, ok := e.(*engine.HostEvent); ok {
					said = e.Error.Error()
				}
				told += strings.Count(said, secret.Hidden)
				for _, part := range []string{text, "hunter2&", base64.StdEncoding.EncodeToString([]byte("ter2&hun"))} {
					if strings.Contains(said, part) {
						t.Errorf("%T shows it: %s", e, said)
					}
				}
			}
			if told < 5 {
				t.Errorf("it was hidden %d times only: the host wasn't heard", told)
			}
		})
	}
}

func TestANameThatIsAlsoASecretIsShown(t *testing.T) {
	var told []string
	redact := &secret.Redactor{}
	redact.Spare("production1")
	f := newFleet(t)
	r := f.runWith(func(o *engine.Options) {
		o.Redact = redact
		o.Connect = func(context.Context, string, engine.Start) (engine.Stream, error) {
			return hostile(func(c *wire.Conn, task *wire.Task) {
				told = task.Secrets
				_ = c.Send(&wire.Message{Planned: &wire.Planned{ID: task.ID, Status: wire.Failed, Certainty: wire.Known, Error: "no production1 for hunter2hunter2"}})
			}), nil
		}
	}, `
play "p" {
  hosts = ["web1"]
  task "file" "DIR/production1" {
    content = "${sensitive("production1")} ${sensitive("hunter2hunter2")}"
  }
}
`, "web1")
	r.Plan(t.Context())
	for _, e := range f.events {
		if e, ok := e.(*engine.TaskEvent); ok && e.Error != "no production1 for "+secret.Hidden {
			t.Error(e.Error)
		}
	}
	if fmt.Sprint(told) != "[hunter2hunter2]" {
		t.Errorf("the host is told to hide %q", told)
	}
}
