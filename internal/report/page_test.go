package report_test

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/internal/report"
	"muster/internal/wire"
)

// fill makes every text of v that text, whoever it comes from, every number 1 and every
// yes or no a yes; lists have two elements.
func fill(v reflect.Value, text string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(text)
	case reflect.Int, reflect.Int64:
		v.SetInt(1)
	case reflect.Float64:
		v.SetFloat(1)
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), text)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range 2 {
			fill(v.Index(i), text)
		}
	case reflect.Struct:
		if v.Type() == reflect.TypeFor[time.Time]() {
			v.Set(reflect.ValueOf(time.Date(2026, 5, 4, 3, 2, 1, 0, time.UTC)))
			return
		}
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), text)
			}
		}
	}
}

// full is a report in which all is said that can be said, and says text.
func full(text string) *report.Report {
	c := &report.Report{}
	fill(reflect.ValueOf(c).Elem(), text)
	for i, status := range []wire.Status{wire.Failed, wire.Changed} { // others aren't shown
		c.Tasks[i].Status = status
		c.Tasks[i].Sensitive = false
	}
	c.Hosts[1].Unreachable = false
	return c
}

var (
	tag    = regexp.MustCompile(`<[^<>"]*("[^"]*"[^<>"]*)*>`)
	quoted = regexp.MustCompile(`"[^"]*"`)
	diff   = regexp.MustCompile(`<pre>(<span( class="(add|cut)")?>[^<]*</span>)+</pre>`)
)

// skeleton is a page's tags, without what stands in quotes. A diff is one tag, however many
// lines it has.
func skeleton(page string) []string {
	list := tag.FindAllString(diff.ReplaceAllString(page, "<diff>"), -1)
	for i := range list {
		list[i] = quoted.ReplaceAllString(list[i], `""`)
	}
	return list
}

// What a report holds, whoever said it, is text: in each place where a page shows
// something, and each way out of it, the page's tags stay those of a harmless one.
func TestNothingThatAReportHoldsBecomesMarkup(t *testing.T) {
	plain := encoded(t, "html", full("harmless"))
	want := skeleton(plain)
	if n := strings.Count(plain, "harmless"); n < 60 {
		t.Fatalf("the page shows %d texts of those that a report holds", n)
	}
	for name, text := range map[string]string{
		"an element":               `a<script>alert(1)</script><img src=x onerror=alert(1)>`,
		"the end of an element":    `</title></style></td></pre></details></body></html><p>`,
		"an attribute":             `a" onclick="alert(1)" x="`,
		"an attribute, in ticks":   `a' onclick='alert(1)' x='`,
		"an attribute, unquoted":   "a onclick=alert(1) x=",
		"a comment":                `<!-- a --> --!> <![CDATA[ ]]> <!DOCTYPE html> <?x?>`,
		"a script's end":           `"};alert(1)//</script><script>alert(1)//`,
		"JSON":                     `{"a":"</script>","b":[1,2]}\u003cscript\u003e`,
		"a template":               `{{.By}}{{define "x"}}{{end}}`,
		"a link":                   `javascript:alert(1)`,
		"a character's name":       `&lt;script&gt;&#60;script&#x3e;&amp;lt;`,
		"what ends a line":         "a\n<p>\r<p>\x85\u2028<p>\v\f<p>",
		"what isn't UTF-8":         "\xff<p>\xc0\xbcp>\xed\xa0\x80<p>\x00<p>",
		"UTF-7":                    "+ADw-script+AD4-",
		"a cut within a character": strings.Repeat("a", 999) + "ä<p>",
		"a cut within an escape":   strings.Repeat("<", 5000),
	} {
		t.Run(name, func(t *testing.T) {
			page := encoded(t, "html", full(text))
			if got := skeleton(page); !slices.Equal(got, want) {
				i := 0
				for i < min(len(got), len(want)) && got[i] == want[i] {
					i++
				}
				t.Errorf("its tag %d is %q", i, got[i:min(i+4, len(got))])
			}
			_, body, _ := strings.Cut(page, "</style>")
			between := tag.ReplaceAllString(body, "")
			if i := strings.IndexAny(between, "<>"); i >= 0 {
				t.Errorf("%q is outside of a tag", between[i:min(i+20, len(between))])
			}
			if strings.Contains(page, "\x00") {
				t.Error("it has a NUL")
			}
		})
	}
}
