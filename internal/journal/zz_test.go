package journal_test

import (
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"filippo.io/age"

	"muster/host"
	"muster/internal/engine"
	"muster/internal/journal"
	"muster/internal/wire"
)

func TestZZ(t *testing.T) {
	id, _ := age.GenerateX25519Identity()
	hy, _ := age.GenerateHybridIdentity()
	for _, mode := range []string{"plain", "undo", "sealed", "hybrid"} {
		path := filepath.Join(t.TempDir(), "zz")
		o := journal.Options{}
		if mode == "sealed" {
			o.Recipients = []age.Recipient{id.Recipient()}
		}
		if mode == "hybrid" {
			o.Recipients = []age.Recipient{hy.Recipient()}
		}
		j, _ := journal.Open(path, o)
		var hosts []string
		for i := range 500 {
			hosts = append(hosts, fmt.Sprint("host", i))
		}
		start := time.Now()
		r := begin(t, j, journal.RunInfo{}, hosts...)
		var wg sync.WaitGroup
		for _, h := range hosts {
			wg.Go(func() {
				for b := range 5 {
					var ts []engine.Granted
					for k := range 16 {
						ts = append(ts, task(fmt.Sprint("configuration-", b, "-", k), host.Description{Action: "update", Target: fmt.Sprint("/etc/something/conf.d/", k, ".conf")}))
					}
					grant(t, r, h, ts...)
					for _, x := range ts {
						if mode != "plain" {
							u := &wire.Undo{Target: "/etc/something/conf.d/x.conf", Steps: []wire.UndoStep{{Type: "file.attr/1", Change: []byte(`{"path":"/etc/something/conf.d/x.conf","attr":{"mode":"0644"}}`)}}}
							if mode != "undo" {
								u.Steps[0].Former = make([]byte, 500)
							}
							r.Before(h, x.ID, u)
						}
						r.Done(h, x.ID, &wire.Done{Status: "changed", Changes: x.Changes, Seconds: 0.1})
					}
				}
				r.HostEnd(h, "done", "")
			})
		}
		wg.Wait()
		if err := r.End("changed"); err != nil {
			t.Fatal(err)
		}
		took := time.Since(start)
		s := time.Now()
		find(t, j, "last")
		read := time.Since(s)
		c := j.Commits()
		j.Close()
		i, _ := os.Stat(path)
		t.Logf("%s: %v for 40000 tasks, %d commits, %d bytes/task; read %v", mode, took, c, i.Size()/40000, read)
	}
}
