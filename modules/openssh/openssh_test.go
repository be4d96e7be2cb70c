package openssh

import (
	"slices"
	"strings"
	"testing"

	"muster/modules/account"
	"muster/modules/file"
	"muster/modules/modulestest"
	"muster/modules/systemd"
)

func TestConformance(t *testing.T) {
	modulestest.Run(t, slices.Concat(Kinds(), file.Kinds(), account.Kinds(), systemd.Kinds())...)
}

// Whatever the file holds, an edit leaves nothing for a second one, and other hosts' lines as
// they are.
func FuzzKnownHosts(f *testing.F) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIo3h50bjxYMlHXNCg83SeHhDZxPFcOIBxwlAuwnWJM+"
	for _, text := range []string{
		"", "db1 " + key, "db1,db2 " + key + "\r\n", "|1|a|b " + key + "\n", "@revoked db2 " + key + "\n",
		"!db1,db1 " + key + " x\n", "|1|||", "@ \n", "db1,,DB1 " + strings.Replace(key, "AIIo", "AIIp", 1) + "\n",
	} {
		f.Add(text, true, true)
		f.Add(text, false, false)
	}
	f.Fuzz(func(t *testing.T, old string, present, hash bool) {
		k := &KnownHosts{Name: "db1", Port: 22, Keys: []string{key}, Hash: hash, State: "absent"}
		if present {
			k.State = "present"
		}
		once, err := k.edit(old, []byte("x"))
		if err != nil {
			return // what is revoked
		}
		if twice, err := k.edit(once, []byte("x")); err != nil || twice != once {
			t.Errorf("%q becomes %q, and that %q, %v", old, once, twice, err)
		}
		if a, b := othersOf(old), othersOf(once); a != b {
			t.Errorf("other hosts' lines: %q becomes %q", a, b)
		}
	})
}

// othersOf is what a text says of other hosts: each line that is none's, and each name
// with its key.
func othersOf(text string) string {
	var kept strings.Builder
	for raw := range strings.Lines(text) {
		l := parseKnown(raw)
		if l.names == "" || l.marker != "" {
			kept.WriteString(strings.TrimSuffix(raw, "\n") + "\n")
			continue
		}
		for name := range strings.SplitSeq(l.names, ",") {
			if name != "" && name[0] != '!' && !(known{names: name}).has("db1") {
				kept.WriteString(name + " " + l.key + "\n")
			}
		}
	}
	// The line that is added begins on a line of its own.
	return strings.TrimSuffix(kept.String(), "\n")
}
