package redis

import (
	"bufio"
	"slices"
	"strings"
	"testing"

	"muster/host"
)

func TestValuesThatMeanOneThing(t *testing.T) {
	for _, c := range []struct {
		name, a, b string
		want       bool
	}{
		{"maxmemory", "1gb", "1073741824", true},
		{"maxmemory", "1GB", "1024mb", true},
		{"maxmemory", "1g", "1000000000", true},
		{"maxmemory", "1gb", "1g", false},
		{"appendonly", "YES", "yes", true},
		{"save", `3600 1 300 100`, `300 100 3600 1`, true},
		{"save", `900 1 "" 60 5`, `60 5`, true},
		{"save", "", `""`, true},
		{"save", "60 5", "60 6", false},
		{"notify-keyspace-events", "Ex", "xE", true},
		{"notify-keyspace-events", "KEA", "g$lshzxetdKE", true},
		{"notify-keyspace-events", "K", "E", false},
		{"client-output-buffer-limit", "replica 256mb 64mb 60", "normal 0 0 0 slave 268435456 67108864 60 pubsub 33554432 8388608 60", true},
		{"client-output-buffer-limit", "replica 256mb 64mb 61", "normal 0 0 0 slave 268435456 67108864 60", false},
		{"masterauth", "1k", "1000", false},
		{"masterauth", "Secret", "secret", false},
		{"bind", "127.0.0.1 -::1", "127.0.0.1  -::1", true},
		{"timeout", "5", "50", false},
		{"dir", "/var/lib/redis/", "/var/lib/redis", true},
	} {
		if got := same(c.name, c.a, c.b); got != c.want {
			t.Errorf("%s: %q and %q mean one thing: %t", c.name, c.a, c.b, got)
		}
	}
}

func TestLinesOfTheFileAreEdited(t *testing.T) {
	for _, c := range []struct{ name, before, setting, value, after string }{
		{"where the last of them stands", "a 1\n# b 2\nb 3\nc 4\nb 5\nd 6\n", "b", "7", "a 1\n# b 2\nc 4\nb 7\nd 6\n"},
		{"at the end where there is none", "a 1\n", "b", "", "a 1\nb \"\"\n"},
		{"behind what is included", "b 1\ninclude /etc/x\na 1\n", "b", "2", "include /etc/x\na 1\nb 2\n"},
		{"as several lines", "save 1 1\nsave 2 2\nx 1\n", "save", "60 5 900 1", "save 60 5\nsave 900 1\nx 1\n"},
		{"with quotes", "a 1\n", "a", `x "y" z`, "a \"x \\\"y\\\" z\"\n"},
	} {
		f := parseConf(c.before)
		f.set(c.setting, c.value)
		if got := f.text(); got != c.after {
			t.Errorf("%s:\n%s\nwant\n%s", c.name, got, c.after)
		}
		if has, known := f.value(c.setting); !known || !same(c.setting, has, c.value) {
			t.Errorf("%s: read again it is %q", c.name, has)
		}
	}
	if _, known := parseConf("maxmemory 1gb\ninclude /etc/redis/more.conf\n").value("maxmemory"); known {
		t.Error("what another file may say is taken for known")
	}
}

func TestPasswordsInTheFileAreHidden(t *testing.T) {
	shown := hidden("# user a #b\nmasterauth geheim\n  requirepass \"geheim\"\nuser shop on #geheim >geheim ~x\n")
	if strings.Contains(shown, "geheim") || !strings.Contains(shown, "~x") {
		t.Error(shown)
	}
}

// While a secret is rotated a user keeps what lets it in, and gets the one to be used beside it.
func TestUserOfARotatedPassword(t *testing.T) {
	sum := func(p string) string { return host.ContentOf([]byte(p), true).Sum }
	for _, c := range []struct {
		name string
		has  []string
		want []string
	}{
		{"lets in the one to be used", []string{"used"}, []string{"used"}},
		{"lets in both", []string{"next", "used"}, []string{"next", "used"}},
		{"lets in the one to be used and a third", []string{"third", "used"}, []string{"third", "used"}},
		{"lets in another that is valid", []string{"next", "third"}, []string{"used", "next"}},
		{"lets in none that is valid", []string{"third"}, []string{"used"}},
	} {
		now, want := &acl{On: true}, []string{}
		for _, p := range c.has {
			now.Sums = append(now.Sums, sum(p))
		}
		for _, p := range c.want {
			want = append(want, sum(p))
		}
		p := &userPlanner{User: &User{Name: "shop", Password: "used", Valid: []string{"next", "used"}}, now: now}
		if got := p.sums(); !slices.Equal(got, want) {
			t.Errorf("one who %s gets %d passwords, want %v", c.name, len(got), c.want)
		}
	}
}

func TestAnswersAreRead(t *testing.T) {
	for text, want := range map[string]string{
		"*-1\r\n": "", "$-1\r\n": "", "+OK\r\n": "",
		"$5\r\nhel":                      "unexpected EOF",
		"$2\r\nhello\r\n":                "longer than it says",
		"$99999999999\r\n":               "is the most that is read",
		"*99999999\r\n":                  "is the most that is read",
		"-NOAUTH no\r\n":                 "NOAUTH no",
		"HTTP/1.1 400 Bad Request\r\n":   "isn't Redis",
		strings.Repeat("*1\r\n", 20):     "too deep",
		"+" + strings.Repeat("x", 1<<17): "doesn't end",
		"\r\n":                           "empty line",
	} {
		_, err := readReply(bufio.NewReader(strings.NewReader(text)), 0)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%.20q: %v, want %q", text, err, want)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add("*2\r\n$1\r\na\r\n:1\r\n")
	f.Fuzz(func(_ *testing.T, text string) { _, _ = readReply(bufio.NewReader(strings.NewReader(text)), 0) })
}

func FuzzLines(f *testing.F) {
	f.Add(`a "b\x00" 'c'`)
	f.Fuzz(func(t *testing.T, value string) {
		if strings.ContainsAny(value, "\n\r") {
			return
		}
		if w := splitLine("a " + quote(value)); len(w) != 2 || w[1] != value {
			t.Errorf("%q is read again as %q", value, w)
		}
	})
}
