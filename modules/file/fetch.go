package file

import (
	"bytes"
	"context"
	"io"
	"sync"

	"muster/host"
)

// A copy asks for the bodies of its next files while it writes those before, many at a
// time, so that its length isn't a round trip for each.
const (
	aheadFiles = 200
	aheadBytes = 4 << 20   // that are held at a time
	aheadSize  = 256 << 10 // bytes; larger files are streamed when their turn comes
)

type fetcher struct {
	ctx    context.Context
	cancel context.CancelFunc
	bodies *host.Bodies
	want   []host.Content // by item; a zero Sum: nothing
	ready  []chan fetched
	next   int
	held   int64 // bytes that were asked for and aren't written yet
	wait   sync.WaitGroup
}

type fetched struct {
	data []byte
	err  error
}

func fetchAhead(ctx context.Context, bodies *host.Bodies, items []TreeItem, sensitive bool) *fetcher {
	ctx, cancel := context.WithCancel(ctx)
	f := &fetcher{ctx: ctx, cancel: cancel, bodies: bodies, want: make([]host.Content, len(items)), ready: make([]chan fetched, len(items))}
	for i, item := range items {
		if item.After.Type == host.Regular && (item.Before.Type != host.Regular || item.Before.Sum != item.After.Sum) {
			f.want[i] = host.Content{Sum: item.After.Sum, Size: item.After.Size, Sensitive: sensitive}
		}
	}
	return f
}

// open returns the body of the n-th item; n only grows.
func (f *fetcher) open(n int) (io.ReadCloser, error) {
	f.next = max(f.next, n)
	if f.next-n <= aheadFiles/2 && f.held <= aheadBytes/2 {
		f.ask(n + aheadFiles)
	}
	if f.ready[n] == nil {
		return f.bodies.Open(f.ctx, f.want[n])
	}
	got := <-f.ready[n]
	f.ready[n] = nil
	f.held -= f.want[n].Size
	return io.NopCloser(bytes.NewReader(got.data)), got.err
}

// ask asks for the bodies of items before the end-th.
func (f *fetcher) ask(end int) {
	for ; f.next < min(end, len(f.want)) && f.held < aheadBytes; f.next++ {
		c := f.want[f.next]
		if c.Sum == "" || c.Size > aheadSize {
			continue
		}
		ch := make(chan fetched, 1)
		f.ready[f.next] = ch
		f.held += c.Size
		f.wait.Go(func() {
			data, err := f.read(c)
			ch <- fetched{data, err}
		})
	}
}

func (f *fetcher) read(c host.Content) ([]byte, error) {
	r, err := f.bodies.Open(f.ctx, c)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(r)
}

// close ends what is still being fetched.
func (f *fetcher) close() {
	f.cancel()
	f.wait.Wait()
}
