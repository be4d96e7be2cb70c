package program

import (
	"context"
	"strings"

	"muster/host"
	"muster/modules"
)

// Script runs a script of the project on the host, from a private file that
// is removed again.
//
// Without creates, removes or newer_than it runs every time, as "command".
// As there, the output is null where it didn't run.
type Script struct {
	// The script, a file of the project.
	Source *host.Content `arg:"source,key,file,required"`
	// Its arguments.
	Args []string `arg:"args"`
	// The program that reads it, with options: "python3 -u". Default: what its
	// first line names after "#!", or /bin/sh.
	Interpreter string `arg:"interpreter"`
	Common
}

// Check refuses contradictions.
func (s *Script) Check(unknown func(string) bool) []modules.ArgError {
	errs := s.Common.check(unknown)
	for _, a := range append(s.Args, s.Interpreter) {
		if strings.ContainsRune(a, 0) {
			errs = append(errs, modules.ArgError{Arg: "args", Summary: "Wrong value", Detail: "A program's arguments can't hold a NUL."})
		}
	}
	return errs
}

// May is anything, unless the script only reads.
func (s *Script) May() []host.Effect {
	if s.Source == nil {
		return []host.Effect{host.Open(host.All, host.All)}
	}
	return s.Common.may(s.run())
}

func (s *Script) run() *RunCommand {
	return &RunCommand{Argv: strings.Fields(s.Interpreter), Script: s.Source, Args: s.Args}
}

// Plan runs nothing, unless the script only reads.
func (s *Script) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	return s.Common.plan(ctx, v, s.run())
}
