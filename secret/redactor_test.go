package secret

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"html"
	"net/url"
	"runtime"
	"strconv"
	"strings"
	"testing"
)

// values are secrets with everything that is escaped somewhere.
func values() []string {
	return []string{
		"hunter2hunter2", "p%41ss&w<r>d+1/2=", `quo"te'd \back\slash`, "with spaces in it", "Grüße, 日本語 😀",
		"-----BEGIN KEY-----\nMC4CAQAwBQYDK2VwBCIEIDk0\nsecond/line+of=it\n-----END KEY-----\n",
	}
}

// encodings are the ways in which programs write a value.
func encodings() map[string]func(string) string {
	asJSON := func(s string) string {
		data, err := json.Marshal(s)
		if err != nil {
			panic(err)
		}
		return string(data)
	}
	shifted := func(n int) func(string) string {
		return func(s string) string {
			return base64.StdEncoding.EncodeToString([]byte("user"[:n] + s + ":and more"))
		}
	}
	wrapped := func(s, with string, width int) string {
		var b strings.Builder
		for i, c := range []byte(s) {
			if i > 0 && i%width == 0 {
				b.WriteString(with)
			}
			b.WriteByte(c)
		}
		return b.String()
	}
	return map[string]func(string) string{
		"plain":                 func(s string) string { return s },
		"carriage returns":      func(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") },
		"base64":                func(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) },
		"base64 behind one":     shifted(1),
		"base64 behind two":     shifted(2),
		"base64 behind three":   shifted(3),
		"base64 of URLs":        func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) },
		"base64 in lines":       func(s string) string { return wrapped(base64.StdEncoding.EncodeToString([]byte(s)), "\n    ", 10) },
		"hex":                   func(s string) string { return hex.EncodeToString([]byte(s)) },
		"HEX":                   func(s string) string { return fmt.Sprintf("%X", s) },
		"hex in groups":         func(s string) string { return wrapped(hex.EncodeToString([]byte(s)), " ", 4) },
		"a query":               url.QueryEscape,
		"a path":                url.PathEscape,
		"a path in small":       func(s string) string { return lowerPercent(url.PathEscape(s)) },
		"every byte in a URL":   func(s string) string { return "%" + wrapped(hex.EncodeToString([]byte(s)), "%", 2) },
		"JSON":                  asJSON,
		"JSON in JSON":          func(s string) string { return asJSON(asJSON(s)) },
		"JSON in JSON in JSON":  func(s string) string { return asJSON(asJSON(asJSON(s))) },
		"ASCII":                 strconv.QuoteToASCII,
		"bytes in octal":        func(s string) string { return octal(s) },
		"a shell's quotes":      func(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" },
		"a shell's backslashes": func(s string) string { return backslashes(s) },
		"HTML":                  html.EscapeString,
		"a URL in HTML in JSON": func(s string) string { return asJSON(html.EscapeString("/?a=1&p=" + url.QueryEscape(s))) },
	}
}

func lowerPercent(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' {
			b.WriteString(strings.ToLower(s[i : i+3]))
			i += 2
			continue
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

func octal(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		if c < ' ' || c >= 0x7f || c == '\\' {
			fmt.Fprintf(&b, `\%03o`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}

func backslashes(s string) string {
	var b strings.Builder
	for _, c := range s {
		if c < 0x80 && c != '\n' && !(c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			b.WriteByte('\\')
		}
		b.WriteRune(c)
	}
	return b.String()
}

func TestASecretIsFoundHoweverItIsWritten(t *testing.T) {
	for _, value := range values() {
		var r Redactor
		r.Add(value)
		for name, encode := range encodings() {
			text := encode(value)
			if strings.HasPrefix(name, "a shell's back") && strings.Contains(value, "\n") {
				continue // a shell has another way for those
			}
			got := r.Redact("before: " + text + " :after")
			if !strings.HasPrefix(got, "before: ") || !strings.HasSuffix(got, " :after") {
				t.Errorf("%s of %q takes what is around it: %q", name, value, got)
			}
			rest := strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(got, "before: "), " :after"), Hidden, "")
			if left := remains(text, rest); left > 24 {
				t.Errorf("%s of %q: %d bytes of it are left: %q became %q", name, value, left, text, got)
			}
		}
	}
}

// remains is how much of an encoded text is still there, in bytes: a prefix or a suffix that
// other text has brought along is no part of it.
func remains(text, rest string) int {
	if rest == text {
		return len(text)
	}
	return len(rest)
}

func TestWhatIsLeftOfASecretWhereATextWasCutIsHidden(t *testing.T) {
	const value = "correct-horse-battery-staple"
	var r Redactor
	r.Add(value, "another secret")
	for i := minPart; i < len(value)-minPart; i++ {
		for text, want := range map[string]string{
			"it said\n…" + value[i:] + " and so on":                                 "it said\n…" + Hidden + " and so on",
			"it said " + value[:i] + "…":                                            "it said " + Hidden + "…",
			"a " + value[:i] + "\n[… 12 bytes left out …]\n" + value[i:] + " there": "a " + Hidden + "\n[… 12 bytes left out …]\n" + Hidden + " there",
		} {
			if got := r.Redact(text); got != want {
				t.Errorf("%q became %q, want %q", text, got, want)
			}
		}
	}
	if got := r.Redact("wait… and … [… 3 bytes left out …] see"); got != "wait… and … [… 3 bytes left out …] see" {
		t.Errorf("it became %q", got)
	}
}

func TestRedactorHidesSecretsAndTheirLines(t *testing.T) {
	var r Redactor
	r.Add("abcdefgh", "abcdefghijkl", "first line\nsecond line", "xy", "sevenof")
	for text, want := range map[string]string{
		"is abcdefghijkl here":   "is " + Hidden + " here",
		"only abcdefgh":          "only " + Hidden,
		"abcdefghabcdefgh":       Hidden + Hidden,
		"the second line":        "the " + Hidden,
		"xy is too short":        "xy is too short",
		"so is sevenof":          "so is sevenof",
		"nothing to hide \\ % &": "nothing to hide \\ % &",
		"":                       "",
		"abcd\nefgh broken":      Hidden + " broken",
	} {
		if got := r.Redact(text); got != want {
			t.Errorf("%q became %q, want %q", text, got, want)
		}
	}
}

func TestNamesAreSparedWhateverIsASecret(t *testing.T) {
	for _, spareFirst := range []bool{true, false} {
		var r Redactor
		if spareFirst {
			r.Spare("production1")
		}
		r.Add("production1", "production1/password")
		r.Spare("production1", "web1")
		if got := r.Redact("host production1 has production1/password"); got != "host production1 has "+Hidden {
			t.Error(got)
		}
		if !r.Spares("production1") || r.Spares("production1/password") {
			t.Error("spared isn't what was named")
		}
	}
}

// TestALargeSecretTakesLittleMemory: a file with something sensitive in it is known as a whole.
func TestALargeSecretTakesLittleMemory(t *testing.T) {
	var b strings.Builder
	for i := range 100_000 {
		fmt.Fprintf(&b, "line %d of a large file\n", i)
	}
	file := b.String()
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	var r Redactor
	r.Add(file)
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int(after.HeapAlloc) - int(before.HeapAlloc); grown > 20*len(file) {
		t.Errorf("%d bytes for one of %d", grown, len(file))
	}
	if got := r.Redact("it says line 4711 of a large file, and more"); got != "it says "+Hidden+", and more" {
		t.Error(got)
	}
	key := strings.Repeat("0123456789abcdef", 512)
	r.Add(key)
	if got := r.Redact(base64.StdEncoding.EncodeToString([]byte("k:" + key))); len(got) > 40 {
		t.Errorf("%d bytes are left", len(got))
	}
	runtime.KeepAlive(&r)
}

func TestErrorsStayReadable(t *testing.T) {
	var r Redactor
	r.Add("-----BEGIN CERTIFICATE-----\nMIIBszCCAVmgAwIBAgIUabcdefgh\n-----END CERTIFICATE-----", "12345678")
	for _, text := range []string{"no line -----BEGIN CERTIFICATE----- in /etc/x", "open /etc/x: permission denied", "1234567 of 2345678"} {
		if got := r.Redact(text); got != text {
			t.Errorf("%q became %q", text, got)
		}
	}
}

func FuzzRedact(f *testing.F) {
	f.Add("hunter2hunter2", "a hunter2\nhunter2 and …ter2 %41 \\u00e9 \\ud83d\\ude00 &#x41; '\\''")
	f.Fuzz(func(t *testing.T, value, text string) {
		var r Redactor
		r.Add(value)
		r.Redact(text) // doesn't panic
		value = strings.TrimSpace(value)
		if len(value) < Short || strings.Contains(Hidden, value) || len(strings.Join(strings.Fields(value), "")) < Short {
			return
		}
		if got := strings.ReplaceAll(r.Redact(text+value+text), Hidden, "\x00"); strings.Contains(got, value) && !strings.Contains(value, "\x00") {
			t.Errorf("%q is still in %q", value, got)
		}
	})
}

func BenchmarkRedact(b *testing.B) {
	var r Redactor
	for i := range 1000 {
		r.Add(fmt.Sprintf("secret %d %x", i, i*7919))
	}
	text := strings.Repeat("a line of what a program has said, \"quoted\" and all\n", 1000)
	b.SetBytes(int64(len(text)))
	for b.Loop() {
		r.Redact(text)
	}
}
