package lang

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"muster/internal/lang/diag"
	"muster/internal/lang/plays"
)

func TestSyntaxHints(t *testing.T) {
	for _, c := range []struct{ name, text, hint string }{
		{"a percent brace in a string", "play \"p\" {\n  hosts = [\"all\"]\n  task \"command\" \"d\" {\n    argv = [\"date\", \"%{Y}\"]\n  }\n}\n", "%%{"},
		{"a dollar brace in a string", "play \"p\" {\n  hosts = [\"all\"]\n  task \"command\" \"d\" {\n    shell = \"echo ${#x}\"\n  }\n}\n", "$${"},
		{"a percent brace in a heredoc", "play \"p\" {\n  hosts = [\"all\"]\n  task \"command\" \"d\" {\n    shell = <<EOT\ncurl -w '%{http_code}' x\nEOT\n  }\n}\n", "%%{"},
		{"a dollar brace that begins a comment, in a heredoc", "play \"p\" {\n  hosts = <<EOT\necho ${#x} y\nz\nEOT\n}\n", "$${"},
		{"a directive that isn't ended", "play \"p\" {\n  hosts = \"%{ if true }x\"\n}\n", "%%{"},
		{"an error behind a template on its line", "play \"p\" { hosts = [\"${\"all\"}\"] tags = [] }\n", ""},
		{"an error below a template", "play \"p\" {\n  hosts = [\"${\"all\"}\"]\n  tags = =\n}\n", ""},
		{"an error below one that is written as it stands", "play \"p\" {\n  hosts = [\"$${#x}\"]\n  tags = =\n}\n", ""},
		{"an error in a template of many lines that isn't about it", "play \"p\" {\n  hosts = \"${jsonencode({\n    a = = 1\n  })}\"\n}\n", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, file := project(t, "-- site.hcl --\n"+c.text)
			_, diags := Load(file, testOptions(dir))
			if !diags.HasErrors() {
				t.Fatal("no error")
			}
			if got := diag.Hint(diags[0]); (got == "") != (c.hint == "") || !strings.Contains(got, c.hint) {
				t.Errorf("%v, hint %q", diags, got)
			}
		})
	}
}

func TestWhatAPlaybookDeclaresIsNotKnownWhereItCannotBeRead(t *testing.T) {
	for _, c := range []struct{ name, files string }{
		{"the playbook", "-- site.hcl --\nvariable \"x\" {\n"},
		{"one that it includes", "-- site.hcl --\ninclude \"other.hcl\" {}\n-- other.hcl --\nvariable \"x\" {\n"},
		{"one that isn't there", "-- site.hcl --\ninclude \"other.hcl\" {}\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, file := project(t, c.files)
			o := testOptions(dir)
			o.Vars = []plays.VarSource{{Name: "x", Text: "1", Origin: "--var"}}
			if _, diags := Load(file, o); len(diags) != 1 || diags[0].Summary == "Unknown variable" {
				t.Error(diags)
			}
		})
	}
}

func TestAFileThatIsRefusedAsAWholeGetsNoHintAboutTemplates(t *testing.T) {
	for _, c := range []struct{ name, text string }{
		{"a byte that isn't UTF-8", "play \"${\xff}\" {}\n"},
		{"brackets in a template", "play \"${" + strings.Repeat("(", 300)},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir, file := project(t, "-- site.hcl --\n"+c.text)
			_, diags := Load(file, testOptions(dir))
			if len(diags) != 1 || diag.Hint(diags[0]) != "" {
				t.Errorf("%v, hint %q", diags, diag.Hint(diags[0]))
			}
		})
	}
}

func TestHostileFiles(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"deep nesting", "play \"p\" {\n  hosts = " + strings.Repeat("(", 100_000), ""},
		{"deep operators", "play \"p\" {\n  hosts = " + strings.Repeat("!", 100_000) + "true\n}\n", ""},
		{"a large file", strings.Repeat("# 50 MB\n", 50<<17), "File too large"},
		{"invalid UTF-8", "play \"p\xff\" {}\n", "Not UTF-8"},
		{"an empty file", "", "Nothing to do"},
		{"a file of NULs", strings.Repeat("\x00", 100), ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			file := filepath.Join(dir, "site.hcl")
			if err := os.WriteFile(file, []byte(c.text), 0o644); err != nil {
				t.Fatal(err)
			}
			_, diags := Load(file, testOptions(dir))
			if len(diags) == 0 || !strings.Contains(diags[0].Summary, c.want) {
				t.Error(diags)
			}
		})
	}
	t.Run("a file that doesn't exist", func(t *testing.T) {
		p, diags := Load(filepath.Join(t.TempDir(), "site.hcl"), testOptions(t.TempDir()))
		if p == nil || !diags.HasErrors() || diags[0].Summary != "No such file" {
			t.Error(diags)
		}
	})
}
