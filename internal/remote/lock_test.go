package remote

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestHostOfAnotherRunIsWaitedForAloudAndRefusedOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	other := lock{path: path}
	if err := other.own(t.Context()); err != nil {
		t.Fatal(err)
	}
	defer other.release()
	var told []string
	l := lock{path: path, wait: 300 * time.Millisecond, patience: time.Millisecond, tell: func(text string) { told = append(told, text) }}
	defer l.release()
	first := l.share(t.Context())
	if first == nil || !strings.Contains(first.Error(), "another run has had this host for more than 300ms (process ") {
		t.Errorf("it says %v", first)
	}
	if len(told) != 1 || !strings.Contains(told[0], "waiting for another run on this host (process ") {
		t.Errorf("it told %q", told)
	}
	l.idle()
	l.wait = time.Hour
	if again := l.share(t.Context()); again == nil || again.Error() != first.Error() {
		t.Errorf("asked again, it says %v", again)
	}
}

func TestOwnerBetweenTwoLooksIsNoticed(t *testing.T) {
	path := filepath.Join(t.TempDir(), "lock")
	l := lock{path: path}
	defer l.release()
	for _, test := range []struct {
		what   string
		before func()
		moved  bool
	}{
		{"the first look", func() {}, false},
		{"nobody was here", func() {}, false},
		{"another run was here", func() {
			other := lock{path: path}
			if err := other.own(t.Context()); err != nil {
				t.Fatal(err)
			}
			other.release()
		}, true},
		{"nobody was here again", func() {}, false},
	} {
		l.idle()
		test.before()
		if err := l.share(t.Context()); err != nil {
			t.Fatal(err)
		}
		if moved := l.others(); moved != test.moved {
			t.Errorf("%s: moved is %v", test.what, moved)
		}
	}
}
