package report

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strings"

	"muster/internal/outfile"
)

// Formats are what reports can be written as.
func Formats() []string { return []string{"html", "junit", "markdown", "metrics", "github"} }

// Target is a file that a report is written to.
type Target struct{ Format, File string }

// ParseTarget reads FORMAT=FILE.
func ParseTarget(text string) (Target, error) {
	format, file, given := strings.Cut(text, "=")
	if !slices.Contains(Formats(), format) {
		return Target{}, fmt.Errorf("a report is FORMAT=FILE, and the format %s, not %q", strings.Join(Formats(), ", "), format)
	}
	if !given || file == "" {
		return Target{}, fmt.Errorf("%s has no file: write %s=FILE", format, format)
	}
	return Target{format, file}, nil
}

// Write writes the report. A file is replaced when the report is whole, so that who reads
// it never reads half, and is readable for all.
func (t Target) Write(c *Report) error {
	var b bytes.Buffer
	if err := Encode(&b, t.Format, c); err != nil {
		return t.failed(err)
	}
	if err := outfile.Write(t.File, b.Bytes(), 0o644); err != nil {
		return t.failed(err)
	}
	return nil
}

func (t Target) failed(err error) error {
	return fmt.Errorf("the %s report isn't written: %w; give a file in a folder that exists and that you may write to", t.Format, err)
}

// Encode writes a report in a format.
func Encode(w io.Writer, format string, c *Report) error {
	switch format {
	case "html":
		return writeHTML(w, c)
	case "junit":
		return writeJUnit(w, c)
	case "markdown":
		return writeMarkdown(w, c)
	case "metrics":
		return writeMetrics(w, c)
	case "github":
		return writeGitHub(w, c)
	}
	return fmt.Errorf("there is no format %q", format)
}
