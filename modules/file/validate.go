package file

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"muster/host"
	"muster/modules"
)

// validateLimit is the size, in bytes, up to which content is validated while
// planning. Larger files are validated only before they land.
const validateLimit = 16 << 20

// tryValidate lets the change's program look at a private copy of the new
// content, so that a refusal is found before anything is changed. Where the
// program isn't installed, or something it may read is pending, only the
// check before the file lands decides.
func tryValidate(ctx context.Context, v *host.View, w *host.WriteFile) error {
	if len(w.Validate) == 0 || w.Content.Size > validateLimit {
		return nil
	}
	content, err := v.Body(ctx, w.Content, validateLimit)
	if err != nil {
		return err
	}
	scratch, err := v.Scratch()
	if err != nil {
		return err
	}
	defer scratch.Remove()
	tmp, err := scratch.Write(filepath.Base(w.Path), content, 0o600)
	if err != nil {
		return err
	}
	argv := make([]string, len(w.Validate))
	for i, a := range w.Validate {
		argv[i] = strings.ReplaceAll(a, "%s", tmp)
	}
	out, err := v.Query(ctx, host.Command{Argv: argv},
		host.Key{Space: host.Files, Name: host.All}, host.Key{Space: host.Packages, Name: host.All},
		host.Key{Space: host.Users, Name: host.All}, host.Key{Space: host.Groups, Name: host.All})
	switch {
	case errors.Is(err, host.ErrNotYet), errors.Is(err, host.ErrNoProgram), errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("validating the new %s: %w", w.Path, err)
	case out.ExitCode == 0:
		return nil
	}
	// What the program says of the copy, it says of the file.
	out.Stdout = []byte(strings.ReplaceAll(string(out.Stdout), tmp, w.Path))
	out.Stderr = []byte(strings.ReplaceAll(string(out.Stderr), tmp, w.Path))
	return fmt.Errorf("validation refused the file: %w", &host.ExitError{Argv: w.Validate, Output: out})
}

// checkValidate refuses a program that isn't told which file to look at.
func checkValidate(argv []string, unknown func(string) bool) []modules.ArgError {
	if len(argv) == 0 || unknown("validate") {
		return nil
	}
	for _, a := range argv {
		if strings.Contains(a, "%s") {
			return nil
		}
	}
	return []modules.ArgError{{Arg: "validate", Summary: "Wrong value", Detail: `The program has to be told which file to check: write "%s" where its path belongs.`,
		Hint: fmt.Sprintf("validate = [%q, \"%%s\"]", argv[0])}}
}
