package host

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
)

// RunProgram runs a program that edits the host: useradd, systemctl, apt-get.
type RunProgram struct {
	Argv []string `json:"argv"`
	// Stdin is given to the program; what is secret goes there, never into Argv.
	Stdin *Content `json:"stdin,omitempty"`
	Env   []string `json:"env,omitempty"`
	Dir   string   `json:"dir,omitempty"`
	// Does is what the change shows, Leaves what it may alter.
	Does   Description `json:"does"`
	Leaves []Effect    `json:"leaves"`
	// UndoArgv takes it back and AfterArgv makes the result count, where the
	// plan is atomic; see Result.
	UndoArgv  []string `json:"undo,omitempty"`
	AfterArgv []string `json:"after,omitempty"`
	// OK are exit codes besides 0 that are no failure: "was so already".
	OK []int `json:"ok,omitempty"`
}

// Type is "program.run/1".
func (*RunProgram) Type() string { return "program.run/1" }

// Describe is what the module said.
func (r *RunProgram) Describe() Description { return r.Does }

// Effects is what the module said.
func (r *RunProgram) Effects() []Effect { return r.Leaves }

// Want is the program that runs.
func (r *RunProgram) Want() any {
	return RunProgram{Argv: r.Argv, Stdin: r.Stdin, Env: r.Env, Dir: r.Dir, Does: Description{Target: r.Does.Target}}
}

// Apply runs the program.
func (r *RunProgram) Apply(ctx context.Context, h *Host) (Result, error) {
	c := Command{Argv: r.Argv, Env: r.Env, Dir: r.Dir}
	if r.Stdin != nil {
		data, err := h.Bodies.Read(ctx, *r.Stdin, 1<<20)
		if err != nil {
			return Result{}, err
		}
		c.Stdin = bytes.NewReader(data)
	}
	var undo Undo
	if r.UndoArgv != nil {
		undo.Changes = []Change{&RunProgram{Argv: r.UndoArgv, Does: Description{Action: Run, Target: r.Does.Target}}}
	}
	if r.AfterArgv != nil {
		undo.After = []Change{&RunProgram{Argv: r.AfterArgv, Does: Description{Action: Run, Target: r.Does.Target}}}
	}
	if err := h.Begin(undo); err != nil {
		return Result{}, err
	}
	_, err := h.Run(ctx, c)
	var exit *ExitError
	if errors.As(err, &exit) {
		for _, code := range r.OK {
			if exit.Output.ExitCode == code && exit.Output.Signal == "" {
				return Result{}, nil
			}
		}
	}
	if err == nil {
		err = h.At("ran " + r.Argv[0])
	}
	return Result{}, err
}

// Encode returns a change's type and data, as they are compared and journaled.
func Encode(c Change) (string, json.RawMessage, error) {
	data, err := Marshal(c)
	return c.Type(), data, err
}

// Undoes are the changes of this package, one of each, empty: what takes edits back is
// made of them.
func Undoes() []Change {
	return []Change{&WriteFile{}, &SetAttr{}, &MakeDir{}, &MakeLink{}, &Remove{}, &RunProgram{}}
}
