package vault_test

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"

	"muster/internal/vault"
	"muster/secret"
)

// hostile is a store with everything that a store can have.
func hostile(t testing.TB) (path string, ann person) {
	t.Helper()
	ann, bob := newPerson(t, "ann"), newPerson(t, "bob")
	path = newStore(t, ann, "mysql/app=the shop's password", "mysql/root=another password", "tls/key=line\nline")
	update(t, path, ann, func(s *vault.Store) error {
		return s.Describe("mysql/app", vault.Meta{Description: "the shop's", Owner: "shop", Every: "30d"})
	})
	addRecipient(t, path, bob)
	update(t, path, ann, rekey)
	dropRecipient(t, path, bob)
	update(t, path, ann, rekey)
	update(t, path, ann, func(s *vault.Store) error {
		_, err := s.SetPending("mysql/root", secret.New("a third password"))
		return err
	})
	return path, ann
}

// everything is all that a store says, for comparing.
func everything(t testing.TB, s *vault.Store) map[string]any {
	t.Helper()
	all := map[string]any{"left": fmt.Sprint(s.Left()), "generation": s.Generation()}
	for _, name := range s.Names() {
		v, err := s.Get(name)
		if err != nil {
			t.Fatal(err)
		}
		i, _ := s.Info(name)
		i.Range = hcl.Range{}
		all[name] = fmt.Sprintf("%+v %q %q %q", i, v.Current.Value.Reveal(), v.Pending.Value.Reveal(), v.Previous.Value.Reveal())
	}
	return all
}

// refusedOrSame holds a file that was tampered with to this: it is refused with a place in it, or it says the same.
func refusedOrSame(t *testing.T, what string, data []byte, ann person, want map[string]any) {
	t.Helper()
	bothWays(t, what, data)
	s, err := vault.Parse("production.hcl", data)
	if err == nil {
		err = s.Unlock(ann.identity)
	}
	if err == nil {
		if got := everything(t, s); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: it is taken as\n%v\nand was\n%v", what, got, want)
		}
		return
	}
	var diags hcl.Diagnostics
	if !errors.As(err, &diags) || diags[0].Subject == nil || diags[0].Subject.Start.Line == 0 {
		t.Errorf("%s: the error has no place: %v", what, err)
	}
}

// bothWays holds the reader of plain files to the parser.
func bothWays(t *testing.T, what string, data []byte) {
	t.Helper()
	plain, parsed, err := vault.ParseBoth(data)
	switch {
	case plain == nil:
	case err != nil:
		t.Errorf("%s: it is read as a plain file, and the parser says: %v", what, err)
	case plain.Dump() != parsed.Dump():
		t.Errorf("%s: read as a plain file it is\n%s\nand the parser finds\n%s", what, plain.Dump(), parsed.Dump())
	}
}

func TestWhatMusterWritesIsPlain(t *testing.T) {
	path, _ := hostile(t)
	data := content(t, path)
	if plain, _, _ := vault.ParseBoth(data); plain == nil {
		t.Errorf("it isn't read as a plain file:\n%s", data)
	}
	for _, odd := range []string{
		"/*\nsecret \"in/comment\" {\n  current = \"1:x\"\n}\n*/\n", "x = <<E\nsecret \"in/heredoc\" {\n  current = \"1:x\"\n}\nE\n",
		"seal {\nsecret \"in/block\" {\n  current = \"1:x\"\n}\n}\n", "seal {\n  x {\n}\nsecret \"in/block\" {\n  current = \"1:x\"\n}\n}\n",
		"secret \"escaped\" {\n  current = \"1:\\x\"\n}\n", "secret \"a\" { current = \"1:x\" }\n", "\xef\xbb\xbfsecret \"a\" {\n  current = \"1:x\"\n}\n",
		"secret \"twice\" {\n  current = \"1:x\"\n  current = \"2:x\"\n}\n", "secret \"new\" {\n  current = \"1:x\"\n  # said\n}\n",
	} {
		bothWays(t, odd, append([]byte(odd), data...))
		bothWays(t, odd, append(bytes.Clone(data), odd...))
	}
}

func TestAStoreThatIsCutAnywhereIsRefused(t *testing.T) {
	path, ann := hostile(t)
	data := content(t, path)
	want := everything(t, open(t, path, ann))
	for n := range data {
		refusedOrSame(t, fmt.Sprintf("cut after %d bytes", n), data[:n], ann, want)
	}
}

func TestAStoreWithAFlippedByteIsRefused(t *testing.T) {
	path, ann := hostile(t)
	data := content(t, path)
	want := everything(t, open(t, path, ann))
	for n := range data {
		other := bytes.Clone(data)
		other[n] ^= 1
		refusedOrSame(t, fmt.Sprintf("byte %d flipped", n), other, ann, want)
	}
}

func TestLinesThatAreMovedDroppedOrDoubledAreNoticed(t *testing.T) {
	path, ann := hostile(t)
	lines := strings.SplitAfter(string(content(t, path)), "\n")
	want := everything(t, open(t, path, ann))
	join := func(l []string) []byte { return []byte(strings.Join(l, "")) }
	for i := range lines {
		refusedOrSame(t, fmt.Sprintf("line %d dropped", i+1), join(slices.Delete(slices.Clone(lines), i, i+1)), ann, want)
		refusedOrSame(t, fmt.Sprintf("line %d doubled", i+1), join(slices.Insert(slices.Clone(lines), i, lines[i])), ann, want)
		for j := range i {
			swapped := slices.Clone(lines)
			swapped[i], swapped[j] = swapped[j], swapped[i]
			refusedOrSame(t, fmt.Sprintf("lines %d and %d swapped", j+1, i+1), join(swapped), ann, want)
		}
	}
}

// TestAPartThatIsRolledBackIsNoticed puts each block, and each line, of an older file into
// the place of the newer one.
func TestAPartThatIsRolledBackIsNoticed(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann, "a=the first value", "b=another value", "c=a third value")
	older := string(content(t, path))
	set(t, path, ann, "a=the second value", "b=another value 2")
	newer := string(content(t, path))
	want := everything(t, open(t, path, ann))
	was, is := blocks(older), blocks(newer)
	if len(was) != len(is) {
		t.Fatal(len(was), len(is))
	}
	for mask := 1; mask < 1<<len(is)-1; mask++ {
		mixed, same := slices.Clone(is), true
		for i := range mixed {
			if mask&(1<<i) != 0 {
				same = same && mixed[i] == was[i]
				mixed[i] = was[i]
			}
		}
		all := strings.Join(mixed, "")
		if same || all == older { // the whole file of before is a store like any other
			continue
		}
		s, err := vault.Parse(path, []byte(all))
		if err == nil {
			err = s.Unlock(ann.identity)
		}
		if err == nil {
			t.Errorf("blocks %b of the older file are taken", mask)
		}
	}
	refusedOrSame(t, "nothing", []byte(newer), ann, want)
}

// blocks cuts a file before each block.
func blocks(src string) []string {
	return strings.SplitAfter(src, "\n}\n")
}

func TestMergeConflictsWrongKeysAndOtherFilesAreNamed(t *testing.T) {
	ann := newPerson(t, "ann")
	path := newStore(t, ann, "a=the first value")
	data := string(content(t, path))
	for name, test := range map[string]struct{ src, want string }{
		"conflict":         {strings.Replace(data, "secret \"a\"", "<<<<<<< HEAD\nsecret \"a\"", 1), "Merge conflict"},
		"end of one":       {data + ">>>>>>> theirs\n", "Merge conflict"},
		"no store":         {"inventory = \"x\"\n", "Unknown setting"},
		"empty":            {"", "No seal"},
		"another block":    {data + "play \"x\" {\n}\n", "Unknown block"},
		"another argument": {strings.Replace(data, "created", "ownr = \"x\"\n  created", 1), "Unknown argument"},
		"a private key":    {strings.Replace(data, "key = \"age1", "key = \"AGE-SECRET-KEY-1", 1), "take it out of the file"},
		"a later format":   {strings.Replace(data, "format     = 1", "format     = 2", 1), "Store of a later muster"},
		"two of a name":    {data + data[strings.Index(data, "secret \"a\""):], "Duplicate secret"},
		"a bad name":       {strings.Replace(data, "secret \"a\"", "secret \"../a\"", 1), "Wrong name"},
		"description":      {strings.Replace(data, "created", "description = \"by hand\"\n  created", 1), "muster secret describe"},
		"deep":             {data + "x = " + strings.Repeat("[", 100_000), "Nested too deeply"},
	} {
		s, err := vault.Parse(path, []byte(test.src))
		if err == nil {
			err = s.Unlock(ann.identity)
		}
		if err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := vault.Open(path, newPerson(t, "eve").identity); err == nil || !strings.Contains(err.Error(), "sealed to ann") {
		t.Error(err)
	}
	if _, err := vault.Open(path); err == nil || !strings.Contains(err.Error(), "MUSTER_IDENTITY") {
		t.Error(err)
	}
}

func FuzzParse(f *testing.F) {
	path, ann := hostile(f)
	data, err := os.ReadFile(path)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte("seal {\n format = 1\n recipients = {}\n left \"x\" {\n seen = { a = 1 }\n }\n}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		bothWays(t, "it", data)
		s, err := vault.Parse("x.hcl", data)
		if err != nil {
			return
		}
		if err := s.Unlock(ann.identity); err == nil {
			everything(t, s)
		}
	})
}
