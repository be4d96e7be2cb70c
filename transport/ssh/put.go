package ssh

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"sync/atomic"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"

	"muster/transport"
)

// Put implements transport.Conn: by SFTP, with many writes under way at once,
// to a new file with a random name beside the path, which then takes its place.
func (c *conn) Put(ctx context.Context, u transport.Upload) error {
	if err := c.put(ctx, u); err != nil {
		switch {
		case ctx.Err() != nil:
			err = context.Cause(ctx)
		case c.dead():
			err = c.cause()
		case errors.Is(err, sftp.ErrSSHFxConnectionLost) || errors.Is(err, io.EOF):
			err = fmt.Errorf("%w: the SFTP session ended (%v)", transport.ErrLost, err)
		}
		return fmt.Errorf("uploading %s: %w", u.Path, err)
	}
	return nil
}

func (c *conn) put(ctx context.Context, u transport.Upload) error {
	s, err := c.session(ctx)
	if err != nil {
		return err
	}
	shut := make(chan struct{})
	go func() {
		defer close(shut)
		ssh.DiscardRequests(s.requests)
		c.open.Add(-1)
	}()
	go io.Copy(io.Discard, s.Stderr())
	defer func() {
		go s.Close()
		select {
		case <-shut:
		case <-time.After(closeGrace):
			c.fail(fmt.Errorf("%w: %s does not close a session", transport.ErrLost, c.hop.name))
		}
	}()
	ok, err := within(ctx, c.client, "starting SFTP", func() (bool, error) {
		return s.SendRequest("subsystem", true, ssh.Marshal(struct{ Name string }{"sftp"}))
	}, func(bool) {})
	if err != nil {
		return err
	}
	if !ok {
		return errors.New("the host has no SFTP: set Subsystem sftp internal-sftp in its sshd_config")
	}
	client, err := within(ctx, c.client, "starting SFTP", func() (*sftp.Client, error) {
		return sftp.NewClientPipe(s, s, sftp.UseConcurrentWrites(true))
	}, func(client *sftp.Client) { client.Close() })
	if err != nil {
		return fmt.Errorf("starting SFTP: %w", err)
	}
	defer client.Close()

	// Each answer puts off the end; silence closes the connection.
	progress := &paced{ctx: ctx, from: u.Content}
	done := make(chan error, 1)
	go func() { done <- write(client, u, progress) }()
	tick := time.NewTicker(min(time.Second, c.opts.Timeouts.Request/4))
	defer tick.Stop()
	last, since := int64(-1), time.Now()
	cancelled := ctx.Done()
	for {
		select {
		case err := <-done:
			return err
		case <-c.lost:
			<-done
			return c.cause()
		case <-cancelled:
			// The reader ends the upload, which then removes its file.
			cancelled = nil
			since = time.Now().Add(-c.opts.Timeouts.Request).Add(min(closeGrace, c.opts.Timeouts.Request))
			last = progress.read.Load()
		case <-tick.C:
			if n := progress.read.Load(); n != last && cancelled != nil {
				last, since = n, time.Now()
			}
			if time.Since(since) > c.opts.Timeouts.Request {
				c.fail(fmt.Errorf("%w: %s: the upload stands still for %v", transport.ErrLost, c.hop.name, c.opts.Timeouts.Request))
			}
		}
	}
}

// paced counts what is read and ends when ctx does.
type paced struct {
	ctx  context.Context
	from io.Reader
	read atomic.Int64
}

// Read implements io.Reader.
func (r *paced) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	n, err := r.from.Read(p)
	r.read.Add(int64(n))
	return n, err
}

// write uploads u, and removes what it left if it does not succeed.
func write(client *sftp.Client, u transport.Upload, content io.Reader) error {
	if info, err := client.Lstat(u.Path); err == nil && !info.Mode().IsRegular() {
		return fmt.Errorf("it is %s: remove it from the host", kindOf(info.Mode()))
	}
	temporary := path.Join(path.Dir(u.Path), "."+path.Base(u.Path)+"."+rand.Text()[:12])
	// SFTP's O_EXCL follows no link and opens nothing that is there.
	f, err := client.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	if err != nil {
		return explainWrite(client, u.Path, err)
	}
	err = writeTo(f, u, content)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		if err = client.PosixRename(temporary, u.Path); err != nil {
			err = fmt.Errorf("renaming it into place: %w", err)
		}
	}
	if err != nil {
		err = explainWrite(client, u.Path, err)
		client.Remove(temporary)
	}
	return err
}

func writeTo(f *sftp.File, u transport.Upload, content io.Reader) error {
	mode := u.Mode.Perm()
	if mode == 0 {
		mode = 0o600
	}
	// Before the first byte, so that nobody else reads it on the way.
	if err := f.Chmod(mode); err != nil {
		return err
	}
	// An unknown length would be written one request after the other.
	_, err := f.ReadFromWithConcurrency(content, 64)
	return err
}

// explainWrite adds that the disk is full, which SFTP calls "Failure".
func explainWrite(client *sftp.Client, file string, err error) error {
	var status *sftp.StatusError
	if !errors.As(err, &status) {
		return err
	}
	stat, statErr := client.StatVFS(path.Dir(file))
	switch {
	case statErr != nil:
	case stat.Bavail*stat.Bsize < 64<<10:
		return fmt.Errorf("%w: the disk is full", err)
	case stat.Files > 0 && stat.Favail == 0:
		return fmt.Errorf("%w: the file system has no inodes left", err)
	}
	return err
}

func kindOf(mode fs.FileMode) string {
	switch {
	case mode.IsDir():
		return "a directory"
	case mode&fs.ModeSymlink != 0:
		return "a symbolic link"
	}
	return "no regular file"
}
