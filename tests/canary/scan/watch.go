package scan

import (
	"sync"
	"time"
)

// Watch looks at all processes again and again, until what it returns is called, which returns what
// was found. A process that lives shorter than a look takes may be missed: those that are
// planted values in have to take a while.
func (s *Scanner) Watch() (stop func() []Hit) {
	ended, enough := make(chan struct{}), make(chan struct{})
	var hits []Hit
	go func() {
		defer close(ended)
		tick := time.NewTicker(20 * time.Millisecond)
		defer tick.Stop()
		for {
			hits = once(append(hits, s.Processes()...))
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
