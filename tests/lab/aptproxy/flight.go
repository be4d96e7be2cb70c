package aptproxy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"io"
	"net/http"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

// flight is one file on its way from the mirror: written to a temporary file,
// from which any number of requests read while it grows.
type flight struct {
	name    string // the final file
	url     url.URL
	started chan struct{} // closed when reply or err is known

	reply *http.Response // set before started closes; nil when the mirror wasn't reached
	temp  *os.File       // set before started closes, where the reply is 200

	mu      sync.Mutex
	more    *sync.Cond // written, done and err changed
	written int64
	done    bool
	readers int
	err     error
}

// run fetches the file to its end. It returns when the file is under its final
// name or removed; readers that joined keep the temporary file open.
func (f *flight) run(ctx context.Context, client *http.Client, stall time.Duration) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(stall, func() { cancel(errStalled) })
	defer timer.Stop()

	begun := false
	begin := func() {
		if !begun {
			begun = true
			close(f.started)
		}
	}
	err := func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, f.url.String(), nil)
		if err != nil {
			return err
		}
		reply, err := client.Do(req)
		if err != nil {
			return err
		}
		defer reply.Body.Close()
		if reply.StatusCode != http.StatusOK {
			f.reply = reply
			return fmt.Errorf("the mirror answers %s", reply.Status)
		}
		if err := os.MkdirAll(filepath.Dir(f.name), 0o755); err != nil {
			return err
		}
		temp, err := os.CreateTemp(filepath.Dir(f.name), tempPrefix+"*")
		if err != nil {
			return err
		}
		f.reply, f.temp = reply, temp
		begin()
		return f.fill(&stallReader{body: reply.Body, timer: timer, limit: stall, ctx: ctx})
	}()

	f.mu.Lock()
	f.done, f.err = true, err
	if f.temp != nil && f.readers == 0 {
		f.temp.Close()
	}
	f.more.Broadcast()
	f.mu.Unlock()
	begin()
}

// ended reports whether the transfer is over: who comes later looks at the file, or asks anew.
func (f *flight) ended() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.done
}

// fill writes body to the temporary file and, when it is whole, gives it its name.
func (f *flight) fill(body io.Reader) error {
	defer os.Remove(f.temp.Name()) // nothing is left of it after a rename
	sum := sha256.New()
	head := make([]byte, 0, 8)
	buf := make([]byte, 128<<10)
	var size int64
	for {
		n, err := body.Read(buf)
		if n > 0 {
			if _, werr := f.temp.Write(buf[:n]); werr != nil {
				return werr
			}
			sum.Write(buf[:n])
			head = append(head, buf[:min(n, cap(head)-len(head))]...)
			size += int64(n)
			f.mu.Lock()
			f.written = size
			f.more.Broadcast()
			f.mu.Unlock()
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := whole(f.url.Path, f.reply.ContentLength, size, head, sum); err != nil {
		return err
	}
	if err := f.temp.Chmod(0o644); err != nil {
		return err
	}
	return os.Rename(f.temp.Name(), f.name)
}

// whole reports what is wrong with a body of size bytes received for a path.
func whole(urlPath string, announced, size int64, head []byte, sum hash.Hash) error {
	if announced >= 0 && size != announced {
		return fmt.Errorf("%d of %d bytes came", size, announced)
	}
	if strings.HasSuffix(urlPath, ".deb") && string(head) != "!<arch>\n" { // deb(5)
		return fmt.Errorf("what came is no Debian package")
	}
	dir, want := path.Split(urlPath)
	if strings.HasSuffix(dir, "/by-hash/SHA256/") {
		if got := hex.EncodeToString(sum.Sum(nil)); got != want {
			return fmt.Errorf("what came has the sum %s", got)
		}
	}
	return nil
}

// serve sends the file as it grows, the last byte when all were found right. A
// transfer that breaks aborts the client's connection, so that neither half a
// file nor a wrong one is taken for a whole one.
func (f *flight) serve(w http.ResponseWriter, r *http.Request) {
	file, closeFile, err := f.open()
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadGateway)
		return
	}
	defer closeFile()
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	if f.reply.ContentLength >= 0 {
		h.Set("Content-Length", strconv.FormatInt(f.reply.ContentLength, 10))
	}
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	out := http.NewResponseController(w)
	var sent int64
	for {
		f.mu.Lock()
		for f.written-1 <= sent && !f.done {
			f.more.Wait()
		}
		upTo, done, err := f.written, f.done, f.err
		if !done || err != nil {
			upTo = max(upTo-1, sent)
		}
		f.mu.Unlock()
		if n, werr := io.Copy(w, io.NewSectionReader(file, sent, upTo-sent)); werr != nil {
			return // the client has gone
		} else {
			sent += n
		}
		if done && err != nil {
			panic(http.ErrAbortHandler)
		}
		if done && sent == upTo {
			return
		}
		_ = out.Flush()
	}
}

// open registers a reader of the temporary file; it stays readable under the
// open descriptor after it was renamed or removed.
func (f *flight) open() (io.ReaderAt, func(), error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.done && f.readers == 0 { // run has closed the descriptor
		if f.err != nil {
			return nil, nil, f.err
		}
		file, err := os.Open(f.name)
		if err != nil {
			return nil, nil, err
		}
		return file, func() { file.Close() }, nil
	}
	f.readers++
	return f.temp, func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.readers--; f.done && f.readers == 0 {
			f.temp.Close()
		}
	}, nil
}
