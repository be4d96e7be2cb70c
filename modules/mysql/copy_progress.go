package mysql

import (
	"errors"
	"io"
	"strings"
	"sync"
	"time"
)

// tellEach is how often a stream's progress is told.
const tellEach = 2 * time.Second

// progress tells how much of a stream has come, and remembers how it ended. A program that
// has ended may leave somebody reading: it is safe for concurrent use.
type progress struct {
	from   io.Reader
	total  int64
	report func(string)

	mu     sync.Mutex
	done   int64
	told   time.Time
	ended  bool
	failed error
}

func newProgress(from io.Reader, total int64, report func(string)) *progress {
	return &progress{from: from, total: total, report: report}
}

func (p *progress) Read(b []byte) (int, error) {
	n, err := p.from.Read(b)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += int64(n)
	switch {
	case errors.Is(err, io.EOF):
		p.ended = true
	case err != nil:
		p.failed = err
	}
	if p.report != nil && (p.ended || time.Since(p.told) >= tellEach) {
		p.told = time.Now()
		p.report(progressText(p.done, p.total))
	}
	return n, err
}

// state is how much has come, whether that was all of it, and why not.
func (p *progress) state() (done int64, ended bool, failed error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done, p.ended, p.failed
}

// progressText is "1.2 of 3.4 GB": the total is an estimate, and left out once there is more.
func progressText(done, total int64) string {
	if total <= done {
		return bytesText(done)
	}
	now, all := bytesText(done), bytesText(total)
	if number, unit, _ := strings.Cut(now, " "); strings.HasSuffix(all, " "+unit) {
		now = number
	}
	return now + " of " + all
}
