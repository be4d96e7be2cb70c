package rotation

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/host"
	"muster/secret"
)

func TestStepOfARotationIsKeptAndHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rotations", "db.json")
	keep := func(by, from string) error {
		h := host.New()
		h.Undo = func(host.Undo) error { return nil }
		_, err := (&Keep{Path: path, Note: Note{Step: "accept", Version: 3, By: by}, From: from}).Apply(t.Context(), h)
		return err
	}
	if err := keep("ann@desk", ""); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := keep("bob@desk", ""); !errors.Is(err, host.ErrMoved) {
		t.Errorf("planned on what isn't there any more: %v", err)
	}
	if err := keep("bob@desk", string(data)); err == nil || !strings.Contains(err.Error(), "ann@desk is rotating this since") {
		t.Errorf("somebody else's rotation: %v", err)
	}
	if err := keep("ann@desk", string(data)); err != nil {
		t.Errorf("one's own: %v", err)
	}
	// Nothing was heard of it for long.
	old, err := json.Marshal(Note{Step: "accept", Version: 3, By: "ann@desk", Since: time.Now().Add(-stale - time.Second).UTC().Format(time.RFC3339)})
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, old, 0o600); err != nil {
		t.Fatal(err)
	}
	ago := time.Now().Add(-stale - time.Second)
	for _, by := range []string{"ann@desk", "bob@desk"} { // who renews it
		if err := os.Chtimes(path, ago, ago); err != nil {
			t.Fatal(err)
		}
		if a, err := renew(path, by, time.Now()); err != nil || a != "ann@desk" {
			t.Fatal(a, err)
		}
		err := keep("bob@desk", string(old))
		if by == "ann@desk" && (err == nil || !strings.Contains(err.Error(), "ann@desk is rotating this since")) {
			t.Errorf("one that was renewed: %v", err)
		}
		if by == "bob@desk" && err != nil {
			t.Errorf("one of which nothing was heard for long: %v", err)
		}
	}
	// Whose it was renews it no more.
	if a, err := renew(path, "ann@desk", time.Now()); err != nil || a != "bob@desk" {
		t.Errorf("after it was taken: %v, %v", a, err)
	}
}

func TestWhatIsNoNoteIsNotRenewed(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "note.json")
	if _, err := renew(path, "ann@desk", time.Now()); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
	if err := os.Symlink(dir, path); err != nil {
		t.Fatal(err)
	}
	if a, err := renew(path, "", time.Now()); err == nil {
		t.Error("a link is renewed:", a)
	}
}

func TestHostRefusesWhatIsNotOfTheStoreThatItKnows(t *testing.T) {
	for name, c := range map[string]struct {
		now, want Note
		refused   string
	}{
		"nothing is known":              {Note{}, Note{Step: "begin", Version: 1, Digest: "a"}, ""},
		"it goes on":                    {Note{Step: "accept", Version: 2, Digest: "b"}, Note{Step: "grace", Version: 2, Digest: "b"}, ""},
		"the next one":                  {Note{Step: Done, Version: 2, Digest: "b"}, Note{Step: "begin", Version: 2, Digest: "b"}, ""},
		"its new value":                 {Note{Step: "begin", Version: 2, Digest: "b"}, Note{Step: "accept", Version: 3, Digest: "c"}, ""},
		"an older store":                {Note{Step: Done, Version: 3, Digest: "c"}, Note{Step: "begin", Version: 2, Digest: "b"}, "version 3 of it, and this one has 2"},
		"another value of that number":  {Note{Step: "accept", Version: 3, Digest: "c"}, Note{Step: "accept", Version: 3, Digest: "d"}, "another version 3"},
		"it is given up":                {Note{Step: "accept", Version: 3, Digest: "c"}, Note{Step: Done, Version: 2, Digest: "b", GivenUp: "c"}, ""},
		"another is given up":           {Note{Step: "accept", Version: 3, Digest: "c"}, Note{Step: Done, Version: 2, Digest: "b", GivenUp: "d"}, "version 3 of it"},
		"after one was given up":        {Note{Step: Done, Version: 2, Digest: "b", GivenUp: "c"}, Note{Step: "accept", Version: 3, Digest: "d"}, ""},
		"one that is over, pending":     {Note{Step: Done, Version: 3, Digest: "c"}, Note{Step: "accept", Version: 3, Digest: "c", Current: "b"}, "version 3 is the current one, and in this one it is pending"},
		"its way back":                  {Note{Step: Done, Version: 3, Digest: "c", Retired: []string{"b"}}, Note{Step: "back", Version: 3, Digest: "c", Current: "b"}, "the current value of this one counts no more"},
		"a current value that is over":  {Note{Step: "accept", Version: 3, Digest: "c", Retired: []string{"a"}}, Note{Step: "begin", Version: 3, Digest: "c", Current: "a"}, "the current value of this one counts no more"},
		"a value that was set again":    {Note{Step: Done, Version: 3, Digest: "c", Retired: []string{"a"}}, Note{Step: "begin", Version: 4, Digest: "a", Current: "a"}, ""},
		"it was noted, and not stored":  {Note{Step: Done, Version: 3, Digest: "c", Current: "c", Retired: []string{"b"}}, Note{Step: "retire", Version: 3, Digest: "c", Current: "c"}, ""},
		"a value that was given up":     {Note{Step: Done, Version: 2, Digest: "b", Retired: []string{"c"}}, Note{Step: "accept", Version: 3, Digest: "c", Current: "b"}, "ann has given up the version 3"},
		"it is given up once more":      {Note{Step: Done, Version: 2, Digest: "b", Retired: []string{"c"}}, Note{Step: Back, Version: 3, Digest: "c", Current: "b"}, ""},
		"and something else is current": {Note{Step: Done, Version: 2, Digest: "b", Retired: []string{"c"}}, Note{Step: Back, Version: 3, Digest: "c", Current: "a"}, "ann has given up the version 3"},
		"another one is pending since":  {Note{Step: "accept", Version: 3, Digest: "d", Retired: []string{"c"}}, Note{Step: Back, Version: 3, Digest: "c", Current: "b"}, "ann has made another version 3"},
		"and is given up, too":          {Note{Step: Done, Version: 2, Digest: "b", GivenUp: "d", Retired: []string{"c", "d"}}, Note{Step: "accept", Version: 3, Digest: "c", Current: "b"}, "ann has given up the version 3"},
		"refused by the service":        {Note{Step: "refused", Version: 2, Digest: "b", GivenUp: "c"}, Note{Step: "accept", Version: 3, Digest: "c", Current: "b"}, ""},
		"the strategy in its middle":    {Note{Step: "accept", Version: 3, Digest: "c", Strategy: "dual"}, Note{Step: "verify", Version: 3, Digest: "c", Strategy: "cutover"}, `begun with the strategy "dual"`},
		"the strategy of the next one":  {Note{Step: Done, Version: 3, Digest: "c", Strategy: "dual"}, Note{Step: "begin", Version: 3, Digest: "c", Strategy: "cutover"}, ""},
		"another before it is accepted": {Note{Step: Begin, Version: 2, Digest: "b", Strategy: "dual"}, Note{Step: "accept", Version: 3, Digest: "c", Current: "b", Strategy: "cutover"}, `write strategy = "dual" again, and end it (muster rotate) or give it up (muster rotate --back)`},
		"another after it was refused":  {Note{Step: "refused", Version: 2, Digest: "b", Strategy: "dual"}, Note{Step: "accept", Version: 3, Digest: "c", Current: "b", Strategy: "alternate"}, `begun with the strategy "dual"`},
		"another where none is open":    {Note{Step: Begin, Version: 2, Digest: "b", Strategy: "dual"}, Note{Step: Begin, Version: 2, Digest: "b", Current: "b", Strategy: "cutover"}, ""},
		"another project's":             {Note{Step: Done, Version: 1, Digest: "x", Accepts: "db1"}, Note{Step: Begin, Version: 5, Digest: "e", Current: "e", Accepts: "db9"}, "ann has rotated a secret of this name, which db1 accepts, and here db9 does: where that is another project"},
		"and it is at it":               {Note{Step: "accept", Version: 9, Digest: "x", Accepts: "db1"}, Note{Step: Begin, Version: 5, Digest: "e", Current: "e", Accepts: "db9"}, "another project"},
		"another host accepts it since": {Note{Step: Done, Version: 3, Digest: "c", Accepts: "db1"}, Note{Step: Begin, Version: 3, Digest: "c", Current: "c", Accepts: "db9"}, ""},
		"and at its end":                {Note{Step: Done, Version: 3, Digest: "c", Accepts: "db1"}, Note{Step: Done, Version: 4, Digest: "d", Current: "d", Accepts: "db9", Retired: []string{"c"}}, ""},
		"it went on, and was set since": {Note{Step: Done, Version: 3, Digest: "c"}, Note{Step: "begin", Version: 5, Digest: "e"}, ""},
	} {
		c.now.By = "ann"
		err := c.now.refuses(c.want)
		if (err != nil) != (c.refused != "") || err != nil && !strings.Contains(err.Error(), c.refused) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, text := range []string{"", "{", `{"version": "x"}`} {
		if n := read([]byte(text)); !reflect.DeepEqual(n, Note{}) {
			t.Errorf("%q is read as %+v", text, n)
		}
	}
}

func TestARotationOnItsWayBackGoesNoOtherWay(t *testing.T) {
	for name, c := range map[string]struct {
		now, want Note
		back      bool
	}{
		"it is gone on with":     {Note{Step: Back, Version: 3, Digest: "c"}, Note{Step: "accept", Version: 3, Digest: "c", Current: "b"}, true},
		"it is given up":         {Note{Step: Back, Version: 3, Digest: "c"}, Note{Step: Back, Version: 3, Digest: "c", Current: "b"}, false},
		"it is over":             {Note{Step: Back, Version: 3, Digest: "c"}, Note{Step: Done, Version: 2, Digest: "b", Current: "b", GivenUp: "c"}, false},
		"it was never given up":  {Note{Step: "accept", Version: 3, Digest: "c"}, Note{Step: "verify", Version: 3, Digest: "c", Current: "b"}, false},
		"the next value":         {Note{Step: Back, Version: 3, Digest: "c"}, Note{Step: "accept", Version: 3, Digest: "d", Current: "b"}, false},
		"the store has ended it": {Note{Step: Back, Version: 2, Digest: "b"}, Note{Step: Begin, Version: 2, Digest: "b", Current: "b"}, false},
	} {
		if back := c.now.goesBack(c.want); back != c.back {
			t.Errorf("%s: %v", name, back)
		}
	}
}

func TestEverySecretHasAFileOfItsOwn(t *testing.T) {
	seen := map[string]string{}
	for _, name := range []string{"a", "a/b", "a.b", "a%2Fb", "a_b", strings.Repeat("x/", 99) + "y", strings.Repeat("x/", 99) + "z"} {
		path := (&State{Secret: name}).path()
		if other, ok := seen[path]; ok || filepath.Dir(path) != dir || len(filepath.Base(path)) > 250 {
			t.Errorf("%q is kept in %s, as %q is", name, path, other)
		}
		seen[path] = name
	}
}

func TestWhatIsMadeWithAnOutdatedValueIsRefused(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	note, err := json.Marshal(Note{Secret: "mysql/app", Step: Done, Version: 3, Digest: secret.Digest("mysql/app", secret.New("third")), Retired: []string{secret.Digest("mysql/app", secret.New("first")), secret.Digest("mysql/app", secret.New("second"))}, By: "ann@desk"})
	if err != nil {
		t.Fatal(err)
	}
	write("secret.mysql%2Fapp.json", string(note))
	write("secret.broken.json", "{")
	write("another.json", strings.Replace(string(note), "mysql/app", "b", 1))
	if err := os.Symlink("/dev/zero", filepath.Join(dir, "secret.endless.json")); err != nil {
		t.Fatal(err)
	}
	refuses := outdated(dir)
	for values, refused := range map[string]bool{"": false, "other": false, "third": false, "second": true, "first": true, "second third": true, "third second": true, "first other": true, "smtp=second": false, "smtp=third first": true} {
		var made []string
		for _, text := range strings.Fields(values) {
			name, value := "mysql/app", text
			if at, v, ok := strings.Cut(text, "="); ok {
				name, value = at, v
			}
			made = append(made, name+" "+secret.Digest(name, secret.New(value)))
		}
		if err := refuses(made); (err != nil) != refused || err != nil && !strings.Contains(err.Error(), "mysql/app that counts no more: ann@desk has rotated it") {
			t.Errorf("%q: %v", values, err)
		}
	}
	note, err = json.Marshal(Note{Secret: "mysql/b", Step: Done, By: "ann@desk", GivenUp: secret.Digest("mysql/b", secret.New("third")), Retired: []string{secret.Digest("mysql/b", secret.New("third"))}})
	if err != nil {
		t.Fatal(err)
	}
	write("secret.mysql%2Fb.json", string(note))
	if err := outdated(dir)([]string{"mysql/b " + secret.Digest("mysql/b", secret.New("third"))}); err == nil || !strings.Contains(err.Error(), "ann@desk has given it up; get the store without it first (git pull), or give it up in this one, too (muster rotate --back)") {
		t.Error(err)
	}
	if err := outdated(filepath.Join(dir, "none"))([]string{"mysql/app " + secret.Digest("mysql/app", secret.New("first"))}); err != nil {
		t.Error(err)
	}
}

func TestValuesThatCountNoMoreAreKept(t *testing.T) {
	var n Note
	for i := range 30 {
		d := secret.Digest("a", secret.New(strings.Repeat("x", i)))
		n.Retired = n.retiredAnd(Note{Digest: "now", Retired: []string{d, d, "now"}})
		if len(n.Retired) != min(i+1, mostRetired) || n.Retired[len(n.Retired)-1] != d {
			t.Fatalf("after %d: %v", i, n.Retired)
		}
	}
	if back := n.retiredAnd(Note{Digest: n.Retired[3]}); slices.Contains(back, n.Retired[3]) || len(back) != mostRetired-1 {
		t.Error("a value that is the newest again counts no more:", back)
	}
}
