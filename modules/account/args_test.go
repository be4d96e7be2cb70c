package account

import (
	"strings"
	"testing"

	"muster/modules"
)

// aCertificate is the first of a certificate's texts; sshd reads no further
// than its type to pass it over.
const aCertificate = "ssh-ed25519-cert-v01@openssh.com AAAAIHNzaC1lZDI1NTE5LWNlcnQtdjAxQG9wZW5zc2guY29tAAAAAA=="

func TestArgumentsThatAreRefused(t *testing.T) {
	reg := modules.NewRegistry(Kinds()...)
	for name, c := range map[string]struct {
		kind string
		args map[string]any
		want string
	}{
		"a name with a colon":                  {"user", map[string]any{"name": "a:b"}, `holds ':'`},
		"a name that is an option":             {"user", map[string]any{"name": "-rf"}, "is no name for an account"},
		"a name that comments its line out":    {"user", map[string]any{"name": "#a"}, "is no name for an account"},
		"a name that asks NIS":                 {"group", map[string]any{"name": "+g"}, "is no name for an account"},
		"a name that is a home":                {"user", map[string]any{"name": "~a"}, "is no name for an account"},
		"a hash that lost its digest":          {"user", map[string]any{"name": "a", "password_hash": "$6$salt"}, "no hash"},
		"a hash with an empty digest":          {"user", map[string]any{"name": "a", "password_hash": "$5$rounds=5000$salt$"}, "no hash"},
		"an element without a key":             {"authorized_key", map[string]any{"user": "a", "keys": []any{aKey, ""}}, "keys[1]: Wrong value: It holds no key"},
		"comments alone, which empty the file": {"authorized_key", map[string]any{"user": "a", "keys": []any{"# none\n"}, "exclusive": true}, "It holds no key"},
		"a rule that swallows the next":        {"sudoers", map[string]any{"name": "a", "rules": []any{`a ALL=(root) NOPASSWD: /bin/true \`, "b ALL=(ALL) ALL"}}, "read the next rule"},
		"a name that is a number":              {"group", map[string]any{"name": "1000"}, "all digits"},
		"a name with a newline":                {"user", map[string]any{"name": "a\nroot"}, `holds '\n'`},
		"a path for a name":                    {"user", map[string]any{"name": "../x"}, `holds '/'`},
		"a member with a comma":                {"group", map[string]any{"name": "g", "members": []any{"a,b"}}, `holds ','`},
		"a comment with a colon":               {"user", map[string]any{"name": "a", "comment": "x:0:0"}, "separates the fields"},
		"a home that isn't absolute":           {"user", map[string]any{"name": "a", "home": "home/a"}, "no absolute path"},
		"a home that climbs":                   {"user", map[string]any{"name": "a", "home": "/home/../etc"}, "shortest form"},
		"the number that means none":           {"user", map[string]any{"name": "a", "uid": int64(4294967295)}, "can't be the number"},
		"a negative number":                    {"group", map[string]any{"name": "a", "gid": int64(-1)}, "can't be the number"},
		"a day that isn't":                     {"user", map[string]any{"name": "a", "expires": "2030-02-31"}, "is no day"},
		"a day before the first":               {"user", map[string]any{"name": "a", "expires": "1969-12-31"}, "is no day"},
		"a number for a day":                   {"user", map[string]any{"name": "a", "expires": int64(0)}, "write it in quotes"},
		"exact without groups":                 {"user", map[string]any{"name": "a", "exact_groups": true}, `needs "groups"`},
		"removing a home of who stays":         {"user", map[string]any{"name": "a", "remove_home": true}, `goes with state = "absent"`},
		"absent with a shell":                  {"user", map[string]any{"name": "a", "state": "absent", "shell": "/bin/sh"}, "no other arguments"},
		"a hash with a newline":                {"user", map[string]any{"name": "a", "password_hash": "$6$a$b\nroot:x"}, "no hash"},
		"a DES hash, which could be a word":    {"user", map[string]any{"name": "a", "password_hash": "abJnggxhB/yWI"}, "no hash"},
		"no keys":                              {"authorized_key", map[string]any{"user": "a"}, "Name the keys"},
		"a key of another type than it says":   {"authorized_key", map[string]any{"user": "a", "keys": []any{strings.Replace(aKey, "ssh-ed25519", "ssh-rsa", 1)}}, "isn't of the type"},
		"a key cut short":                      {"authorized_key", map[string]any{"user": "a", "keys": []any{aKey[:40]}}, "cut or damaged"},
		"a key that lost its last letters":     {"authorized_key", map[string]any{"user": "a", "keys": []any{"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAHEhXZKlJzP0dWQp0X0PzJmCq1mJ0nB2u0f3u0m4k"}}, "cut or damaged"},
		"a key of no known type":               {"authorized_key", map[string]any{"user": "a", "keys": []any{strings.Replace(aKey, "ssh-ed25519", "ssh-ed25519x", 1)}}, "is no public key"},
		"a certificate":                        {"authorized_key", map[string]any{"user": "a", "keys": []any{aCertificate}}, "is a certificate"},
		"a key with a NUL in its comment":      {"authorized_key", map[string]any{"user": "a", "keys": []any{aKey + " a\x00b"}}, "control character"},
		"a key twice with other options":       {"authorized_key", map[string]any{"user": "a", "keys": []any{"restrict " + aKey, "no-pty " + aKey}}, "is given twice, with restrict and with no-pty"},
		"options with a space":                 {"authorized_key", map[string]any{"user": "a", "keys": []any{aKey}, "options": "no-pty x"}, "Options stand in one line"},
		"options with an open quote":           {"authorized_key", map[string]any{"user": "a", "keys": []any{aKey}, "options": `command="x`}, "Options stand in one line"},
		"options with a newline":               {"authorized_key", map[string]any{"user": "a", "keys": []any{aKey}, "options": "no-pty\nx"}, "Options stand in one line"},
		"options that make the line a comment": {"authorized_key", map[string]any{"user": "a", "keys": []any{aKey}, "options": "#x"}, "Options stand in one line"},
		"rules of two lines":                   {"sudoers", map[string]any{"name": "a", "rules": []any{"a\nb"}}, "A rule is one line"},
		"rules twice":                          {"sudoers", map[string]any{"name": "a", "rules": []any{"a"}, "content": "b"}, "not from both"},
		"no rules":                             {"sudoers", map[string]any{"name": "a"}, "Give the rules"},
		"rules in another folder":              {"sudoers", map[string]any{"name": "../x", "rules": []any{"a"}}, "no name for a file of rules"},
	} {
		t.Run(name, func(t *testing.T) {
			_, errs := reg.Decode(c.kind, c.args)
			var all []string
			for _, e := range errs {
				all = append(all, e.Error())
			}
			if got := strings.Join(all, "\n"); !strings.Contains(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
			for _, e := range errs {
				if e.Arg == "password_hash" && strings.Contains(e.Error(), c.args["password_hash"].(string)) {
					t.Errorf("the error shows the hash: %v", e)
				}
			}
		})
	}
}

func TestArgumentsThatAreTaken(t *testing.T) {
	reg := modules.NewRegistry(Kinds()...)
	for name, c := range map[string]struct {
		kind string
		args map[string]any
	}{
		"a machine's account":        {"user", map[string]any{"name": "host$"}},
		"a name with dots":           {"user", map[string]any{"name": "first.last"}},
		"a hash of yescrypt":         {"user", map[string]any{"name": "a", "password_hash": "$y$j9T$F5Jx5fExrKuPp53xLKQ..1$X3DX6M94c7o.9agCG9G317fhZg9SqC.5i5rd.RhAtQ7"}},
		"a hash with its rounds":     {"user", map[string]any{"name": "a", "password_hash": "$6$rounds=5000$salt$digest"}},
		"a hash of bcrypt":           {"user", map[string]any{"name": "a", "password_hash": "$2b$12$GhvMmNVjRW29ulnudl.LbuAnUtN/LRfe1JsBm1Xu6LE3059z5Tr8m"}},
		"no password at all":         {"user", map[string]any{"name": "a", "password_hash": "*"}},
		"the first day":              {"user", map[string]any{"name": "a", "expires": "1970-01-01"}},
		"an unknown name":            {"user", map[string]any{"name": modules.UnknownValue{}}},
		"unknown keys":               {"authorized_key", map[string]any{"user": "a", "keys": modules.UnknownValue{}}},
		"several keys in one":        {"authorized_key", map[string]any{"user": "a", "keys": []any{"# ours\n" + aKey + " me\n\n" + aKey + "\n"}}},
		"a key twice, under options": {"authorized_key", map[string]any{"user": "a", "keys": []any{"restrict " + aKey, aKey + " c"}, "options": "restrict"}},
		"a bad key that is to go":    {"authorized_key", map[string]any{"user": "a", "keys": []any{"no-ptyy " + aKey, aCertificate}, "state": "absent"}},
		"options with all of it":     {"authorized_key", map[string]any{"user": "a", "keys": []any{`restrict,command="a \"b c\" d" ` + aKey}, "options": `from="10.0.0.0/8,*.lan",command="x \"y\""`}},
		"no keys, and no others":     {"authorized_key", map[string]any{"user": "a", "exclusive": true}},
		"rules that aren't known":    {"sudoers", map[string]any{"name": "a", "rules": modules.UnknownValue{}}},
		"an empty list of rules":     {"sudoers", map[string]any{"name": "a", "rules": []any{}}},
		"members who are to be few":  {"group", map[string]any{"name": "a", "members": []any{}}},
	} {
		t.Run(name, func(t *testing.T) {
			if _, errs := reg.Decode(c.kind, c.args); len(errs) > 0 {
				t.Error(errs)
			}
		})
	}
}

func TestKeysInAFile(t *testing.T) {
	key := publicKey{kind: "ssh-ed25519", blob: strings.Fields(aKey)[1]}
	commented := key
	commented.comment = "new"
	for name, c := range map[string]struct {
		wish         wish
		before, want string
	}{
		"an empty file":                          {wish{keys: []publicKey{key}}, "", aKey + "\n"},
		"Windows' ends of lines are kept":        {wish{keys: []publicKey{key}}, "# a\r\n" + aKey + " c\r\n", "# a\r\n" + aKey + " c\r\n"},
		"a new comment replaces the old":         {wish{keys: []publicKey{commented}}, aKey + " old\n", aKey + " new\n"},
		"a line that can't be read stays":        {wish{keys: []publicKey{key}}, "rubbish", "rubbish\n" + aKey + "\n"},
		"a second line with other options stays": {wish{keys: []publicKey{key}}, `from="a" ` + aKey + "\n" + aKey + "\n", `from="a" ` + aKey + "\n" + aKey + "\n"},
		"options apply to every line of the key": {wish{keys: []publicKey{key}, options: str("restrict")}, `from="a" ` + aKey + "\n" + aKey + "\n", "restrict " + aKey + "\n"},
		"no options take those away":             {wish{keys: []publicKey{key}, options: str("")}, "no-pty " + aKey + "\n", aKey + "\n"},
		"spacing of a line that fits is kept":    {wish{keys: []publicKey{key}}, "  " + aKey + "\t c\n", "  " + aKey + "\t c\n"},
		"absent keys leave an empty file":        {wish{keys: []publicKey{key}, absent: true}, aKey + "\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, _ := c.wish.apply(c.before)
			if got != c.want {
				t.Errorf("got\n%q, want\n%q", got, c.want)
			}
			if again, _ := c.wish.apply(got); again != got {
				t.Errorf("a second time\n%q", again)
			}
		})
	}
}

func FuzzKeysInAFile(f *testing.F) {
	f.Add("# x\n"+aKey, "restrict", true)
	f.Add(`command="a \" b" `+aKey+" c\r\n", "", false)
	f.Fuzz(func(t *testing.T, content, options string, exclusive bool) {
		w := wish{keys: []publicKey{{kind: "ssh-ed25519", blob: strings.Fields(aKey)[1]}}, exclusive: exclusive}
		if isOptions(options) {
			w.options = &options
		}
		once, _ := w.apply(content)
		if !strings.Contains(once, w.keys[0].blob) {
			t.Errorf("the key is missing in %q", once)
		}
		if again, _ := w.apply(once); again != once {
			t.Errorf("a second time:\n%q\n%q", once, again)
		}
	})
}
