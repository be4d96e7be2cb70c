package scan

import (
	"sync"
	"time"
)

const (
	each  = 20 * time.Millisecond // between two looks at young processes
	young = 3                     // looks for which a process is young: it may still become another program
	all   = 12                    // every so many looks go to all
)

// Watch looks at all processes again and again, until what it returns is called, which returns what
// was found. A process that lives shorter than some looks take may be missed: those that
// values are planted in have to take a while.
func (s *Scanner) Watch() (stop func() []Hit) {
	ended, enough := make(chan struct{}), make(chan struct{})
	var hits []Hit
	go func() {
		defer close(ended)
		tick := time.NewTicker(each)
		defer tick.Stop()
		seen := map[string]int{}
		for n := 0; ; n++ {
			now := map[string]int{}
			hits = once(append(hits, s.processes(func(dir string) bool {
				now[dir] = seen[dir] + 1
				return n%all == 0 || now[dir] <= young
			})...))
			seen = now
			select {
			case <-enough:
				return
			case <-tick.C:
			}
		}
	}()
	var end sync.Once
	return func() []Hit {
		end.Do(func() { close(enough) })
		<-ended
		return hits
	}
}
