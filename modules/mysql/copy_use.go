package mysql

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"golang.org/x/sys/unix"

	"muster/host"
)

// UseCopy puts a copy that is ready in the place of the server's data. The server is
// stopped meanwhile. Where it doesn't start with the copy it gets its own data back.
type UseCopy struct {
	Copy copyNote `json:"copy"`
	inState
	// Loses is what the server's own data holds besides the system's, Drops its databases.
	Loses string   `json:"loses,omitempty"`
	Drops []string `json:"drops,omitempty"`
}

// Type is "mysql.copy.use/1".
func (*UseCopy) Type() string { return "mysql.copy.use/1" }

// Describe says what is lost.
func (u *UseCopy) Describe() host.Description {
	d := host.Description{Action: host.Update, Target: u.Copy.DataDir, Impact: "becomes the copy of " + u.Copy.Donor + "'s data; " + u.Copy.Unit + " is stopped and started"}
	if u.Loses != "" {
		d.Impact += "; loses " + u.Loses
	}
	d.Impact += u.inState.text()
	return d
}

// Effects is all that a copy may alter.
func (u *UseCopy) Effects() []host.Effect { return u.Copy.copyEffects() }

// Apply can be cut between any two of its steps, and made again: which step comes next is
// seen from where the mark is.
func (u *UseCopy) Apply(ctx context.Context, h *host.Host) (host.Result, error) {
	c, err := openPlaces(&u.Copy)
	if err != nil {
		return host.Result{}, err
	}
	defer c.parent.Close()
	in, err := c.marked(c.data)
	if err != nil {
		return host.Result{}, err
	}
	if !in {
		ready, err := c.marked(c.ready)
		if err != nil {
			return host.Result{}, err
		}
		if !ready {
			return host.Result{}, fmt.Errorf("no copy that is complete lies in %s: %w", u.Copy.readyDir(), host.ErrMoved)
		}
		if err := u.losesNoMore(ctx, h); err != nil {
			return host.Result{}, err
		}
	}
	if err := h.Begin(host.Undo{}); err != nil {
		return host.Result{}, err
	}
	if !in {
		if err := systemctl(ctx, h, "stop", u.Copy.Unit); err != nil { // it may stop all the same
			return host.Result{}, errors.Join(err, u.startAgain(ctx, h))
		}
		if err := h.At("stopped the server"); err != nil {
			return host.Result{}, err
		}
		if err := c.keepOwn(); err != nil {
			return host.Result{}, errors.Join(err, u.startAgain(ctx, h))
		}
		if err := c.exchange(); err != nil {
			return host.Result{}, errors.Join(err, u.startAgain(ctx, h))
		}
		if err := h.At("exchanged the data directories"); err != nil {
			return host.Result{}, err
		}
	}
	if err := c.putOldAside(); err != nil {
		return host.Result{}, err
	}
	if err := h.At("put the old data directory aside"); err != nil {
		return host.Result{}, err
	}
	// Whatever ends the task: a server that was stopped for it is started.
	if err := u.startAgain(ctx, h); err != nil {
		return host.Result{}, u.giveUp(context.WithoutCancel(ctx), h, c, err)
	}
	return host.Result{}, h.At("started the server")
}

// startAgain starts the server, also where the task is over. Systemd refuses one that was started
// too often, by anybody, so that its count is begun anew.
func (u *UseCopy) startAgain(ctx context.Context, h *host.Host) error {
	ctx = context.WithoutCancel(ctx)
	_, _ = h.Runner.Run(ctx, host.Command{Argv: []string{"systemctl", "reset-failed", u.Copy.Unit}})
	return systemctl(ctx, h, "start", u.Copy.Unit)
}

// losesNoMore is ErrMoved where the server has come to databases since this was planned: a copy
// may have taken hours. One that doesn't run has come to none.
func (u *UseCopy) losesNoMore(ctx context.Context, h *host.Host) error {
	s, err := connect(ctx, h.Dial)
	if err != nil && nobodyListens(err) {
		return nil
	}
	if err != nil {
		return unanswered(err)
	}
	defer s.Close()
	return s.holdsOnly(ctx, u.Drops)
}

// giveUp gives a server its own data back that didn't start with the copy, which goes.
func (u *UseCopy) giveUp(ctx context.Context, h *host.Host, c *places, why error) error {
	why = fmt.Errorf("%s doesn't start with the copy of %s's data: %w", u.Copy.Unit, u.Copy.Donor, why)
	old, err := c.there(c.old)
	if err == nil && !old {
		return why
	}
	if err == nil {
		err = systemctl(ctx, h, "stop", u.Copy.Unit)
	}
	if err == nil {
		err = errors.Join(c.swap(c.old, c.data), c.parent.Sync())
	}
	if err == nil { // first of all it runs: what is left lying goes with the next copy
		err = errors.Join(u.startAgain(ctx, h), h.At("gave the server its own data back"), c.parent.RemoveAll(c.old), host.Drop(copyPath))
	}
	if err != nil {
		return errors.Join(why, fmt.Errorf("giving the server its own data back: %w", err))
	}
	return fmt.Errorf("%w\n(the server has its own data back)", why)
}

// places are the data directory and what lies beside it.
type places struct {
	parent                    *host.Dir
	data, arrived, ready, old string // names in it
}

func openPlaces(n *copyNote) (*places, error) {
	parent, name, err := host.OpenParent(n.DataDir)
	if err != nil {
		return nil, err
	}
	return &places{parent: parent, data: name, arrived: filepath.Base(n.copyDir()), ready: filepath.Base(n.readyDir()), old: filepath.Base(n.oldDir())}, nil
}

func (c *places) there(name string) (bool, error) {
	t, err := c.parent.Type(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && t != host.NoFile, err
}

// databases names the directories of databases in the data directory.
func (c *places) databases() (list []string, err error) {
	d, err := c.parent.Sub(c.data)
	if err != nil {
		return nil, err
	}
	defer d.Close()
	names, err := d.ListNames()
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		t, err := d.Type(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, err
		}
		if err == nil && t == host.Directory && isDatabase(name) {
			list = append(list, name)
		}
	}
	return list, nil
}

// isDatabase reports whether a directory in a data directory is one of a database that isn't
// the server's own.
func isDatabase(name string) bool {
	return !slices.Contains(ownDatabases, name) && name != "lost+found" && !strings.HasPrefix(name, "#") && !strings.HasPrefix(name, ".")
}

// marked reports whether a directory is a copy that was called complete.
func (c *places) marked(name string) (bool, error) {
	d, err := c.parent.Sub(name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer d.Close()
	return (&places{parent: d}).there(copyMark)
}

// exchange puts the copy in the data directory's place: in one step, or where the file
// system has no such step in two. In between there is no data directory at all then, and
// no server starts.
func (c *places) exchange() error {
	there, err := c.there(c.data)
	if err != nil {
		return err
	}
	if !there { // cut between the two
		err = c.parent.RenameNew(c.ready, c.data)
	} else {
		err = c.swap(c.ready, c.data)
	}
	return errors.Join(err, c.parent.Sync())
}

// swap exchanges two directories, b the server's: in one step, or where the file system has none
// in two or three, of which one that fails takes back those before it.
func (c *places) swap(a, b string) error {
	err := c.parent.Exchange(a, b)
	if !errors.Is(err, unix.EINVAL) && !errors.Is(err, unix.ENOSYS) {
		return err
	}
	if a == c.ready { // the server's is to be called c.old anyway
		if err := c.parent.RemoveAll(c.old); err != nil {
			return err
		}
		if err := c.parent.RenameNew(b, c.old); err != nil {
			return err
		}
		if err := c.parent.RenameNew(a, b); err != nil {
			return errors.Join(err, c.parent.RenameNew(c.old, b))
		}
		return nil
	}
	// What was called ready isn't any more: it is taken for what has come in part.
	if err := c.parent.RemoveAll(c.arrived); err != nil {
		return err
	}
	if err := c.parent.RenameNew(b, c.arrived); err != nil {
		return err
	}
	if err := c.parent.RenameNew(a, b); err != nil {
		return errors.Join(err, c.parent.RenameNew(c.arrived, b))
	}
	return c.parent.RenameNew(c.arrived, a)
}

// ownBack has the server's own directory be there, where one was cut off that gave it back.
func (c *places) ownBack() error {
	in, err := c.there(c.data)
	if err != nil || in {
		return err
	}
	copied, err := c.marked(c.old)
	if err != nil || copied {
		return err
	}
	if err := c.parent.RenameNew(c.old, c.data); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return c.parent.Sync()
}

// putOldAside gives the data directory of before, which the exchange has left under the
// copy's name, its own.
func (c *places) putOldAside() error {
	left, err := c.there(c.ready)
	if err != nil || !left {
		return err
	}
	if err := c.parent.RemoveAll(c.old); err != nil {
		return err
	}
	return errors.Join(c.parent.RenameNew(c.ready, c.old), c.parent.Sync())
}

// keepsOwn reports whether a file of a data directory is the server's own, whatever data
// it has: its UUID, keys and certificates, and what its packages have noted there.
func keepsOwn(name string) bool {
	return name == "auto.cnf" || strings.HasSuffix(name, ".pem") || strings.HasSuffix(name, ".flag") || strings.HasSuffix(name, "_upgrade_info")
}

// ownLimit is the size, in bytes, up to which such a file is carried over.
const ownLimit = 1 << 20

// keepOwn carries the files that are the server's own over to the copy.
func (c *places) keepOwn() error {
	from, err := c.parent.Sub(c.data)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := c.parent.Sub(c.ready)
	if err != nil {
		return err
	}
	defer to.Close()
	names, err := from.ListNames()
	if err != nil {
		return err
	}
	for _, name := range names {
		if !keepsOwn(name) {
			continue
		}
		if err := carry(from, to, name); err != nil {
			return fmt.Errorf("carrying %s over to the copy: %w", filepath.Join(from.Path(), name), err)
		}
	}
	return to.Sync()
}

// carry copies a small file from one directory to another, with its mode and owner.
func carry(from, to *host.Dir, name string) error {
	e, err := from.Entry(name)
	if err != nil {
		return err
	}
	defer e.Close()
	if e.Type() != host.Regular {
		return nil
	}
	data, err := e.Read(ownLimit)
	if err != nil {
		return err
	}
	if err := to.Remove(name); err != nil {
		return err
	}
	f, err := to.Create(name)
	if err != nil {
		return err
	}
	made, err := host.Opened(f)
	if err == nil {
		uid, gid := e.Owner()
		if err = made.Chown(uid, gid); err == nil {
			err = made.Chmod(e.Mode())
		}
		made.Close()
	}
	if err == nil {
		_, err = f.Write(data)
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// systemctl has systemd start or stop a unit, and waits for it.
func systemctl(ctx context.Context, h *host.Host, verb, unit string) error {
	_, err := h.Run(ctx, host.Command{Argv: []string{"systemctl", verb, unit}})
	if err == nil {
		return nil
	}
	var exit *host.ExitError
	if errors.As(err, &exit) {
		log, logErr := h.Runner.Run(context.WithoutCancel(ctx), host.Command{Argv: []string{"journalctl", "--unit=" + unit, "--lines=20", "--no-pager", "--output=cat"}})
		if logErr == nil && log.ExitCode == 0 {
			return &host.SaidError{Err: err, Said: toolWords(log.Stdout)}
		}
	}
	return err
}
