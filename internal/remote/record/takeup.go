package record

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"muster/host"
	"muster/internal/remote/process"
	"muster/internal/wire"
)

// TakeUp fences the connections of the run before this one, waits until they have
// finished what they have in hand, and returns what they made. One that has done nothing
// at all for too long is ended. The programs of one that was ended are waited for, too.
// It tells, by tell, what it waits for, or has done.
func (r *Record) TakeUp(ctx context.Context, tell func(text string)) (*Left, error) {
	d, err := host.MakeDirs(r.dir, 0o700)
	if err != nil {
		return nil, err
	}
	d.Close()
	if err := r.raise(); err != nil {
		return nil, err
	}
	if err := r.claim(ctx, tell); err != nil {
		return nil, err
	}
	if err := r.raise(); err != nil { // who had it may have removed the fence with it
		return nil, err
	}
	data, err := io.ReadAll(r.f)
	if err != nil {
		return nil, err
	}
	left, whole := read(data, r.key)
	if err := r.outlive(ctx, left.runs, tell); err != nil {
		return nil, err
	}
	if _, err := os.Lstat(r.mark()); err == nil {
		left.Unkept = true
	}
	// A line that was cut off is written over.
	if _, err := r.f.Seek(int64(whole), io.SeekStart); err != nil {
		return nil, err
	}
	r.size, r.ended, r.open = int64(whole), left.Earlier+len(left.Ended), false
	if len(bytes.Trim(left.key, "\x00")) > 0 {
		r.editKey, r.keyAt = left.key, left.keyAt
	}
	return left, r.f.Truncate(int64(whole))
}

// claim opens the file and locks it, and waits for who has it.
func (r *Record) claim(ctx context.Context, tell func(text string)) error {
	return r.wait(ctx, tell, "waiting for the end of what was being made here when the connection was lost", func() (bool, error) {
		f, err := r.lock(tell)
		if f != nil {
			r.f = f
			r.sweep()
		}
		return f != nil, err
	})
}

// outlive waits until processes have ended.
func (r *Record) outlive(ctx context.Context, list []process.ID, tell func(text string)) error {
	for _, id := range list {
		err := r.wait(ctx, tell, "waiting for the end of what was being made here when the remote was ended ("+id.String()+")", func() (bool, error) {
			return !id.Runs(), nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// wait waits until something is done, and says what for where that takes long, unless
// the run has connected anew.
func (r *Record) wait(ctx context.Context, tell func(text string), what string, done func() (bool, error)) error {
	quiet := time.Now().Add(patience)
	for {
		if over, err := done(); err != nil || over {
			return err
		}
		if err := r.Fenced(); err != nil {
			return err
		}
		if tell != nil && !quiet.IsZero() && time.Now().After(quiet) {
			tell(what)
			quiet = time.Time{}
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// lock opens the file and locks it; it returns nil where somebody else has it, or had it
// till then and has removed it.
func (r *Record) lock(tell func(text string)) (*os.File, error) {
	f, err := host.OpenLock(r.path())
	if err != nil {
		return nil, err
	}
	err = unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	if err == nil {
		var mine, there os.FileInfo
		if mine, err = f.Stat(); err == nil {
			there, err = os.Lstat(r.path())
		}
		if err == nil && os.SameFile(mine, there) {
			return f, nil
		}
	}
	if errors.Is(err, unix.EWOULDBLOCK) {
		for _, id := range r.vigil.Watch(f) {
			if tell != nil {
				tell(fmt.Sprintf("ended the remote of the connection that was lost (%s): it was stopped, or hung", id))
			}
		}
	}
	_ = f.Close()
	if err == nil || errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return nil, err
}

// read takes the lines of a record, up to one that was cut off, and returns how
// many bytes they are. Without the run's key the ends of tasks say nothing.
func read(data, key []byte) (left *Left, whole int) {
	left = &Left{}
	size, repeats := len(data), false // a host makes one task at a time
lines:
	for {
		line, rest, ended := bytes.Cut(data, []byte("\n"))
		var e entry
		if !ended || host.Unmarshal(line, &e) != nil {
			break
		}
		switch {
		case e.Earlier > 0:
			left.Earlier = e.Earlier
		case e.End != nil:
			d := *e.End
			if e.Said != nil && key != nil && opened(key, d.ID, e.Said, &d) != nil {
				break lines // as one that was cut off
			}
			left.Ended = append(left.Ended, d)
			left.Unended, left.Boot, repeats, left.Edits, left.runs, left.key = "", "", false, nil, nil, nil
		case e.Key != nil:
			left.key, left.keyAt = e.Key, int64(size-len(data))
		case e.Edit != nil:
			var u wire.Undo
			if opened(left.key, e.Of, e.Edit, &u) == nil { // else they are settled
				left.Edits = append(left.Edits, u)
			}
		case e.Undone:
			left.Edits = nil
		case e.Runs != nil:
			left.runs = append(left.runs, *e.Runs)
		case e.Boot != "":
			left.Boot = e.Boot
		case e.Begin != "":
			repeats = e.Repeats || repeats && e.Begin == left.Unended
			left.Unended, left.Boot = e.Begin, ""
		}
		data = rest
	}
	if repeats {
		left.Doubtful = []string{left.Unended}
	}
	return left, size - len(data)
}

// sweep removes what runs left that nobody came back for.
func (r *Record) sweep() {
	list, err := os.ReadDir(r.dir)
	if err != nil {
		return
	}
	for _, e := range list {
		run, _, _ := strings.Cut(e.Name(), ".")
		ext := filepath.Ext(e.Name())
		if run == r.run || !runName.MatchString(run) || ext != ".journal" && ext != ".fence" {
			continue
		}
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() && time.Since(info.ModTime()) > maxAge {
			_ = host.Drop(filepath.Join(r.dir, e.Name()))
		}
	}
}
