package diag

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// What looks like Jinja in a text is warned of: HCL takes it for plain text, which would come
// to hosts as it stands. Looked at are templates, and the texts of playbooks and roles; not
// files that are copied (the source of a file, a script, a directory), which may be anything.
//
// Other languages have braces, too, and mostly no warning: Go's templates ({{ .Names }},
// {{ $x }}, {{ json . }}, {{ end }}), as "docker --format", Prometheus and Helm take them, and
// GitHub's ${{ … }}. What looks like Jinja and is meant is written ${"{{"} name }}: what an
// expression gives is no text of the template.

var (
	// jinjaValue begins with a name, behind which stands nothing, a part of it, a call, a
	// filter or an operator. Go's actions have a space and an argument there.
	jinjaValue = regexp.MustCompile(`\{\{[-+]?[ \t]*([A-Za-z_]\w*)(?:[.\[(][^{}\n]*?|[ \t]*[|+*/~<>=!-][^{}\n]*?|[ \t]+(?:if|is|in|not|and|or)[ \t][^{}\n]*?)?[ \t]*[-+]?\}\}`)
	jinjaBlock = regexp.MustCompile(`\{%[-+]?[ \t]*(if|elif|else|endif|for|endfor|set|endset|include|import|from|macro|endmacro|block|endblock|extends|raw|endraw|call|endcall|filter|endfilter|do|with|endwith)\b[^%\n]*`)
)

// notJinja are names that stand alone in Go's templates.
func notJinja(name string) bool {
	return slices.Contains([]string{"end", "else", "break", "continue", "now"}, name)
}

// Jinja warns of what looks like Jinja in the texts of a file: of the first of each kind, with
// how many more there are.
func Jinja(name string, src []byte, lex lexer, variable string) hcl.Diagnostics {
	if !bytes.Contains(src, []byte("{{")) && !bytes.Contains(src, []byte("{%")) {
		return nil
	}
	tokens, _ := lex(src, name, hcl.InitialPos)
	values, blocks := &found{}, &found{}
	for i := 0; i < len(tokens); {
		if !isText(tokens[i]) {
			i++
			continue
		}
		first := tokens[i].Range
		end := first.End
		for i++; i < len(tokens) && isText(tokens[i]) && tokens[i].Range.Start.Byte == end.Byte; i++ {
			end = tokens[i].Range.End
		}
		text := src[first.Start.Byte:end.Byte]
		for _, m := range jinjaValue.FindAllSubmatchIndex(text, -1) {
			if !notJinja(string(text[m[2]:m[3]])) && (m[0] == 0 || text[m[0]-1] != '$') {
				values.add(name, first.Start, text, m)
			}
		}
		for _, m := range jinjaBlock.FindAllSubmatchIndex(text, -1) {
			blocks.add(name, first.Start, text, m)
		}
	}
	var diags hcl.Diagnostics
	const literal = `Where it is meant as it stands, write ${"%s"} for the "%s", or keep the text in a file that a task copies ("source" of file).`
	if values.n > 0 {
		diags = append(diags, Warning(values.at, "Jinja in a text", "Write "+valueInHCL(values.text, variable)+".",
			"%s is plain text here, and would come to the host as it stands%s. %s", values.text, values.more(), fmt.Sprintf(literal, "{{", "{{")))
	}
	if blocks.n > 0 {
		diags = append(diags, Warning(blocks.at, "Jinja in a text", blockInHCL(blocks.text, blocks.word),
			"{%% %s %%} is plain text here, and would come to the host as it stands%s. %s", blocks.word, blocks.more(), fmt.Sprintf(literal, "{%", "{%")))
	}
	return diags
}

func isText(t hclsyntax.Token) bool {
	return t.Type == hclsyntax.TokenStringLit || t.Type == hclsyntax.TokenQuotedLit
}

// found is the first of something in a file.
type found struct {
	n          int
	at         hcl.Range
	text, word string
}

// add notes a match in a text that begins at a place; m is of the regular expression.
func (f *found) add(name string, start hcl.Pos, text []byte, m []int) {
	if f.n++; f.n == 1 {
		begin := forward(start, text[:m[0]])
		f.at = hcl.Range{Filename: name, Start: begin, End: forward(begin, text[m[0]:m[1]])}
		f.text, f.word = string(text[m[0]:m[1]]), string(text[m[2]:m[3]])
	}
}

func (f *found) more() string {
	switch f.n {
	case 1:
		return ""
	case 2:
		return "; there is one more in this file"
	}
	return fmt.Sprintf("; there are %d more in this file", f.n-1)
}

// forward is the position behind a text that begins at p.
func forward(p hcl.Pos, text []byte) hcl.Pos {
	p.Byte += len(text)
	if i := bytes.LastIndexByte(text, '\n'); i >= 0 {
		p.Line += bytes.Count(text, []byte("\n"))
		p.Column, text = 1, text[i+1:]
	}
	p.Column += utf8.RuneCount(text)
	return p
}

// jinjaNames are Ansible's names for what muster calls otherwise.
func jinjaNames() map[string]string {
	return map[string]string{
		"inventory_hostname": "host.name", "ansible_host": "host.address", "item": "each.value", "group_names": "host.groups",
		"ansible_facts": "host.facts", "hostvars": "hosts[…].vars", "groups": "groups", "ansible_hostname": "host.facts.hostname",
	}
}

// valueInHCL is a {{ … }} as muster writes it. Names of the playbook begin with variable, "" in a
// template.
func valueInHCL(text, variable string) string {
	inner := strings.TrimSpace(strings.Trim(strings.TrimSuffix(strings.TrimPrefix(text, "{{"), "}}"), "+-"))
	value, filters, filtered := strings.Cut(inner, "|")
	value = strings.TrimSpace(value)
	name := value
	if i := strings.IndexFunc(name, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}); i >= 0 {
		name = name[:i]
	}
	switch own := jinjaNames()[name]; {
	case own != "":
		value = own + value[len(name):]
	default:
		value = variable + value
	}
	if !filtered {
		return "${" + value + "}"
	}
	filter := strings.TrimSpace(filters)
	if i := strings.IndexAny(filter, "( |"); i >= 0 {
		filter = filter[:i]
	}
	return fmt.Sprintf("${…} with a function in the place of the filter %q (docs/from-ansible.md lists them), such as ${upper(%s)}", filter, value)
}

// blockInHCL is a {% … %} as muster writes it.
func blockInHCL(text, word string) string {
	inner := strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(strings.TrimLeft(strings.TrimPrefix(text, "{%"), "+-")), word))
	inner = strings.TrimSpace(strings.TrimRight(inner, "-+"))
	switch word {
	case "if", "for":
		return fmt.Sprintf("Write %%{ %s %s }, and %%{ end%s } at its end.", word, inner, word)
	case "else", "endif", "endfor":
		return fmt.Sprintf("Write %%{ %s }.", word)
	case "elif":
		return fmt.Sprintf("Write %%{ else }%%{ if %s }, and one more %%{ endif }.", inner)
	case "set":
		return "Name what is computed in locals { }, and give it to the template with vars."
	case "include", "import", "from", "extends":
		return `Write ${templatefile("FILE", { … })}.`
	}
	return "Muster's templates have %{ if }, %{ for } and ${…}, and nothing like it."
}
