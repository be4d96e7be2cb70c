package program

import (
	"context"
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"muster/host"
	"muster/modules"
	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) { modulestest.Run(t, Kinds()...) }

// run makes a command's change and returns its output.
func run(t *testing.T, ctx context.Context, c *Command) (Output, error) {
	t.Helper()
	h := host.New()
	plan, err := c.Plan(ctx, host.NewView(h, nil))
	if err != nil {
		t.Fatal(err)
	}
	r, err := plan.Changes[0].Apply(ctx, h)
	var out Output
	if r.Output != nil {
		if err := json.Unmarshal(r.Output, &out); err != nil {
			t.Fatal(err)
		}
	}
	return out, err
}

func TestOutput(t *testing.T) {
	no := false
	cases := []struct {
		name  string
		shell string
		want  Output
	}{
		{"newlines at the end are left out", `printf 'a\n\nb\n\n'; printf ' c \r\n' >&2`, Output{"a\n\nb", " c ", 0}},
		{"an exit code is an answer", `exit 7`, Output{"", "", 7}},
		{"a signal counts as shells count it", `kill -TERM $$`, Output{"", "", 143}},
		{"what isn't UTF-8 is replaced", `printf 'a\377b'`, Output{"a\ufffdb", "", 0}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			got, err := run(t, t.Context(), &Command{Shell: c.shell, Common: Common{FailedWhen: &no}})
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, got); d != "" {
				t.Error(d)
			}
		})
	}
}

func TestAHundredMegabytesOfOutputAreClipped(t *testing.T) {
	out, err := run(t, t.Context(), &Command{Shell: "echo begin; head -c 100000000 /dev/zero | tr '\\0' x; echo end"})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Stdout) > 2<<20 || !strings.HasPrefix(out.Stdout, "begin\n") || !strings.HasSuffix(out.Stdout, "end") || !strings.Contains(out.Stdout, "bytes left out") {
		t.Errorf("%d bytes, beginning with %.20q", len(out.Stdout), out.Stdout)
	}
}

func TestAChildThatKeepsThePipesOpenIsNotWaitedFor(t *testing.T) {
	start := time.Now()
	out, err := run(t, t.Context(), &Command{Shell: "sleep 20 & echo $!"})
	if err != nil {
		t.Fatal(err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}
	p, _ := os.FindProcess(atoi(t, out.Stdout))
	if err := p.Kill(); err != nil {
		t.Errorf("the child isn't left alone: %v", err)
	}
}

func atoi(t *testing.T, s string) (n int) {
	t.Helper()
	if err := json.Unmarshal([]byte(s), &n); err != nil {
		t.Fatalf("%q: %v", s, err)
	}
	return n
}

func TestTheTimeoutKillsAndAnInterruptionDoesNot(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	start := time.Now()
	_, err := run(t, ctx, &Command{Shell: "echo words; sleep 20 | cat"})
	if err == nil || !strings.Contains(err.Error(), "the task's time is over") || !strings.Contains(err.Error(), "words") {
		t.Errorf("out of time: %v", err)
	}
	if took := time.Since(start); took > 10*time.Second {
		t.Errorf("it took %s", took)
	}

	ctx, cancel = context.WithCancel(t.Context())
	marker := t.TempDir() + "/started"
	go func() {
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for range tick.C {
			if _, err := os.Stat(marker); err == nil {
				cancel()
				return
			}
		}
	}()
	out, err := run(t, ctx, &Command{Shell: "touch " + marker + "; sleep 0.3; echo finished"})
	if err != nil || out.Stdout != "finished" {
		t.Errorf("interrupted, it ends with %+v, %v", out, err)
	}
}

func TestReadOnlyOutputIsKnownInThePlan(t *testing.T) {
	for name, m := range map[string]modules.Module{
		"command": &Command{Shell: "cat; echo; echo $0 | head -c 8", Common: Common{ReadOnly: true, Stdin: content("in")}},
		"script":  &Script{Source: content("cat; echo; echo /bin/sh | head -c 8"), Common: Common{ReadOnly: true, Stdin: content("in")}},
	} {
		plan, err := m.Plan(t.Context(), host.NewView(host.New(), nil))
		if err != nil {
			t.Fatal(name, err)
		}
		if want := `{"stdout":"in\n/bin/sh","stderr":"","exit_code":0}`; string(plan.Output) != want || len(plan.Changes) != 0 {
			t.Errorf("%s: output %s, changes %v", name, plan.Output, plan.Changes)
		}
	}
}

func content(s string) *host.Content {
	c := host.ContentOf([]byte(s), false)
	return &c
}

func TestInterpreter(t *testing.T) {
	for script, want := range map[string][]string{
		"#!/bin/bash -eu\nx":           {"/bin/bash", "-eu"},
		"#! /usr/bin/env python3 \r\n": {"/usr/bin/env", "python3"},
		"#!/usr/bin/env -S a b\n":      {"/usr/bin/env", "-S a b"},
		"echo\n":                       {"/bin/sh"},
		"#!\n":                         {"/bin/sh"},
		"":                             {"/bin/sh"},
	} {
		if d := cmp.Diff(want, interpreter([]byte(script))); d != "" {
			t.Errorf("%q: %s", script, d)
		}
	}
}

func TestCheckRefuses(t *testing.T) {
	reg := modules.NewRegistry(Kinds()...)
	cases := map[string]map[string]any{
		"nothing to run":          {},
		"a program without name":  {"argv": []any{""}},
		"a relative folder":       {"shell": "x", "dir": "tmp"},
		"a relative creates":      {"shell": "x", "creates": "out"},
		"a broken pattern":        {"shell": "x", "creates": "/x[a"},
		"a wrong variable":        {"shell": "x", "env": map[string]any{"A=B": "x"}},
		"read_only with creates":  {"shell": "x", "read_only": true, "creates": "/x"},
		"newer_than without both": {"shell": "x", "newer_than": map[string]any{"source": "/x"}},
		"a relative source":       {"shell": "x", "newer_than": map[string]any{"source": []any{"x"}, "target": "/y"}},
	}
	for name, args := range cases {
		if _, errs := reg.Decode("command", args); len(errs) == 0 {
			t.Errorf("%s is taken", name)
		}
	}
}
