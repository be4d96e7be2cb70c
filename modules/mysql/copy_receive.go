package mysql

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strconv"

	"muster/host"
)

// ReceiveCopy has a donor's files arrive beside the server's own data directory, which
// isn't touched.
type ReceiveCopy struct {
	Copy copyNote `json:"copy"`
	inState
	// bytes is about how many there are to come: it moves all the time, and is no part of
	// what is planned.
	bytes int64
}

// Type is "mysql.copy.receive/1".
func (*ReceiveCopy) Type() string { return "mysql.copy.receive/1" }

// Describe names the donor and the method.
func (r *ReceiveCopy) Describe() host.Description {
	return host.Description{Action: host.Create, Target: r.Copy.copyDir(), Impact: "a copy of " + r.Copy.Donor + "'s data, by mariadb-backup" + r.inState.text()}
}

// Effects is all that a copy may alter.
func (r *ReceiveCopy) Effects() []host.Effect { return r.Copy.copyEffects() }

// Interruptible: it may take hours.
func (*ReceiveCopy) Interruptible() {}

// Apply begins anew whatever a run before it has left. The tool that unpacks runs as the
// data's owner: files land where the donor says, and that isn't to be anywhere but where
// this owner may write anyway.
func (r *ReceiveCopy) Apply(ctx context.Context, h *host.Host) (_ host.Result, err error) {
	n := r.Copy
	c, err := openPlaces(&n)
	if err != nil {
		return host.Result{}, err
	}
	parent, name := c.parent, c.arrived
	defer parent.Close()
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if err := c.ownBack(); err != nil {
		return host.Result{}, err
	}
	owner, err := ownerOf(n.DataDir)
	if err != nil {
		return host.Result{}, err
	}
	if in, err := c.marked(c.data); err != nil || in {
		return host.Result{}, errors.Join(err, fmt.Errorf("%s is a copy already: %w", n.DataDir, host.ErrMoved))
	}
	if n.Had, err = c.databases(); err != nil {
		return host.Result{}, err
	}
	if err := n.write(copying); err != nil {
		return host.Result{}, err
	}
	if err := h.At("noted the copy"); err != nil {
		return host.Result{}, err
	}
	defer func() {
		if err != nil { // nothing of it can be used; the server goes on as it was
			if parent.RemoveAll(name) == nil {
				_ = host.Drop(copyPath)
			}
		}
	}()
	// The data directory is there, and has no mark: what lies under the old one's name is a
	// copy that a server didn't start with.
	for _, old := range []string{name, filepath.Base(n.readyDir()), filepath.Base(n.oldDir())} {
		if err := parent.RemoveAll(old); err != nil {
			return host.Result{}, err
		}
	}
	dir, err := parent.MakeDir(name)
	if err != nil {
		return host.Result{}, err
	}
	defer dir.Close()
	if err := dir.Chown(owner.uid, owner.gid); err != nil {
		return host.Result{}, err
	}
	stream, err := h.Receive(ctx, n.Donor, donorRequest{Method: byBackup})
	if err != nil {
		return host.Result{}, fmt.Errorf("asking %s for its data: %w", n.Donor, err)
	}
	defer stream.Close()
	in := newProgress(stream, r.bytes, h.Report)
	out, err := h.Runner.Run(ctx, host.Command{
		Argv:  owner.as("mbstream", "--extract", "--directory="+n.copyDir(), fmt.Sprintf("--parallel=%d", threads())),
		Stdin: in, OutputLimit: toolOutput,
	})
	done, ended, failed := in.state()
	switch {
	case failed != nil: // told first: the tool ends well where the stream is cut between two pieces
		return host.Result{}, fmt.Errorf("receiving %s's data, after %s: %w", n.Donor, bytesText(done), failed)
	case err != nil:
		return host.Result{}, err
	case out.ExitCode != 0:
		return host.Result{}, &host.SaidError{Err: fmt.Errorf("mbstream has ended with exit code %d, after %s", out.ExitCode, bytesText(done)), Said: toolWords(out.Stderr)}
	case !ended:
		return host.Result{}, errors.New("mbstream has ended before the stream did")
	}
	return host.Result{}, h.At("received the copy")
}

// owner is whose files a data directory has.
type owner struct{ uid, gid int }

// ownerOf is the owner of a data directory, who isn't root.
func ownerOf(dir string) (o owner, err error) {
	d, name, err := host.OpenParent(dir)
	if err != nil {
		return o, err
	}
	defer d.Close()
	e, err := d.Entry(name)
	if err != nil {
		return o, err
	}
	defer e.Close()
	if e.Type() != host.Directory {
		return o, fmt.Errorf("%s is no directory: %w", dir, host.ErrMoved)
	}
	if o.uid, o.gid = e.Owner(); o.uid == 0 {
		return o, fmt.Errorf("%s is root's, and not the database server's: give it to the user that the server runs as", dir)
	}
	return o, nil
}

// as is a program that runs as the owner, and can't become anybody else.
func (o owner) as(argv ...string) []string {
	return append([]string{"setpriv", "--reuid=" + strconv.Itoa(o.uid), "--regid=" + strconv.Itoa(o.gid), "--clear-groups", "--no-new-privs", "--"}, argv...)
}
