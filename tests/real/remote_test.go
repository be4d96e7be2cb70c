package real

import (
	"strings"
	"testing"
)

func TestDamagedRemoteOnAHostIsReplaced(t *testing.T) {
	file := playbook(t, touch("db1", "damaged"))
	if r := muster(t, "plan", file); r.Code != 0 {
		t.Fatalf("exit code %d\n%s", r.Code, r.Err)
	}
	for what, script := range map[string]string{
		"bytes are zeroed, the size stays": "cp -p $f $f.new && dd if=/dev/zero of=$f.new bs=1 seek=2000 count=4000 conv=notrunc && mv $f.new $f",
		"it is cut short":                  "cp -p $f $f.new && truncate -s 100000 $f.new && mv $f.new $f",
		"it is gone":                       "rm $f",
	} {
		on(t, "db1", "set -e; for f in /var/cache/muster/*; do test -f $f || continue; "+script+"; done")
		r := muster(t, "plan", file)
		if r.Code != 0 || !strings.Contains(r.Out, "/etc/damaged") {
			t.Errorf("%s: exit code %d\n%s%s", what, r.Code, r.Out, r.Err)
		}
	}
}
