package secret

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

func TestStringNeverPrintsItself(t *testing.T) {
	s := New("hunter2hunter2")
	data, err := json.Marshal(map[string]any{"s": s})
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(s), fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s, s), string(data), fmt.Sprintf("%#v", struct{ S String }{s})} {
		if strings.Contains(text, "hunter2") {
			t.Errorf("it shows in %q", text)
		}
	}
	if s.Reveal() != "hunter2hunter2" {
		t.Error("it can't be had where it is needed")
	}
}
