package identity

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"filippo.io/age"
	"golang.org/x/sys/unix"
)

// ErrSSH says that an identity is an SSH key, which is used for more than stores. Trying
// again doesn't help.
var ErrSSH = errors.New("it is an SSH key, by which its owner is known elsewhere, too: it is renewed with ssh-keygen and not here")

// ErrMoved says that a file of identities was written by somebody else since it was read.
// Trying again helps.
var ErrMoved = errors.New("it was written by somebody else meanwhile: run this again")

// mark begins the line of an identity file, above the newest identity, that lists those in
// whose place it stands. These open what was sealed to them, and nothing is sealed to them any more.
const mark = "# in place of:"

// File is a file of age's identities, of which one may stand in the place of others.
type File struct {
	Path string // of a link, what it leads to
	// Current is what is sealed to: all that nothing stands in the place of.
	Current []string
	// Replaced are those in whose place the last of Current stands.
	Replaced []string

	text []byte
	all  []age.Identity
	keys map[string]age.Identity // by public key
}

// Own reads the file that Find takes the user's identity from. Of an SSH key it is ErrSSH,
// and ErrNone where there is nothing.
func Own(w Where) (*File, error) {
	id, err := Find(w)
	if err != nil {
		return nil, err
	}
	return ReadFile(id.Path)
}

// ReadFile reads a file of identities.
func ReadFile(path string) (*File, error) {
	target, err := filepath.EvalSymlinks(path)
	if err != nil {
		return nil, fmt.Errorf("reading the identity: %w", err)
	}
	text, err := readSmall(target)
	if err != nil {
		return nil, fmt.Errorf("reading the identity: %w", err)
	}
	if bytes.Contains(text, []byte("-----BEGIN ")) {
		return nil, fmt.Errorf("the identity %s: %w", path, ErrSSH)
	}
	ids, err := age.ParseIdentities(bytes.NewReader(text))
	if err != nil {
		return nil, fmt.Errorf("reading the identity %s: %w", path, err)
	}
	f := &File{Path: target, text: text, all: ids, keys: map[string]age.Identity{}}
	was := replaced(text)
	for _, id := range ids {
		public := publicOf(id)
		if public == "" {
			return nil, fmt.Errorf("reading the identity %s: a %T can't be used: make one with age-keygen", path, id)
		}
		f.keys[public] = id
		if slices.Contains(was, public) {
			f.Replaced = append(f.Replaced, public)
		} else {
			f.Current = append(f.Current, public)
		}
	}
	if len(f.Current) == 0 { // what stood in their place is lost
		f.Current, f.Replaced = f.Replaced, nil
	}
	return f, nil
}

// replaced are the public keys that a file says something else stands in the place of.
func replaced(text []byte) (list []string) {
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(strings.TrimSpace(line), mark); ok {
			list = append(list, strings.FieldsFunc(rest, func(r rune) bool { return r == ',' || r == ' ' || r == '\t' })...)
		}
	}
	return list
}

// publicOf is the public key of an identity of age's; "" of another sort.
func publicOf(id age.Identity) string {
	switch id := id.(type) {
	case *age.X25519Identity:
		return id.Recipient().String()
	case *age.HybridIdentity:
		return id.Recipient().String()
	}
	return ""
}

// Newest is the public key of the last that nothing stands in the place of.
func (f *File) Newest() string { return f.Current[len(f.Current)-1] }

// All are the identities in the file, each to be tried in turn.
func (f *File) All() []age.Identity { return f.all }

// Identity is the one with a public key.
func (f *File) Identity(public string) age.Identity { return f.keys[public] }

// New makes an identity, as the text of a file.
func New() (string, error) {
	id, err := age.GenerateX25519Identity()
	if err != nil {
		return "", fmt.Errorf("making an identity: %w", err)
	}
	return fmt.Sprintf("# public key: %s\n%s\n", id.Recipient(), id), nil
}

// Renew makes an identity of the same sort in the place of all in the file, which stay in it.
func (f *File) Renew() error {
	made, err := New()
	if _, ok := f.keys[f.Newest()].(*age.HybridIdentity); ok {
		id, err := age.GenerateHybridIdentity()
		if err != nil {
			return fmt.Errorf("making an identity: %w", err)
		}
		made = fmt.Sprintf("# public key: %s\n%s\n", id.Recipient(), id)
	}
	if err != nil {
		return err
	}
	old := slices.Concat(f.Replaced, f.Current)
	text := bytes.TrimRight(f.without(nil), "\n")
	return f.write(fmt.Appendf(text, "\n%s %s\n%s", mark, strings.Join(old, ", "), made))
}

// Forget takes out those in whose place another stands.
func (f *File) Forget() error { return f.write(f.without(f.Replaced)) }

// without is the text without marks, and without some identities and the lines that
// age-keygen writes above them.
func (f *File) without(gone []string) []byte {
	var out []byte
	for line := range strings.Lines(string(f.text)) {
		text := strings.TrimSpace(line)
		public, isPublic := strings.CutPrefix(text, "# public key:")
		drop := strings.HasPrefix(text, mark) || isPublic && slices.Contains(gone, strings.TrimSpace(public))
		if !drop && text != "" && text[0] != '#' {
			id, err := age.ParseIdentities(strings.NewReader(text))
			drop = err == nil && len(id) == 1 && slices.Contains(gone, publicOf(id[0]))
		}
		if !drop {
			out = append(out, line...)
		}
	}
	return out
}

// write replaces the file as a whole, and reads it again: nothing of it is lost at a cut.
func (f *File) write(text []byte) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("writing the identity %s: %w", f.Path, err)
		}
	}()
	old, err := os.Open(f.Path)
	if err != nil {
		return err
	}
	defer old.Close() // and with it the lock
	if err := unix.Flock(int(old.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return ErrMoved
	}
	if there, err := readSmall(f.Path); err != nil || !bytes.Equal(there, f.text) {
		return errors.Join(err, ErrMoved)
	}
	tmp, err := os.CreateTemp(filepath.Dir(f.Path), "."+filepath.Base(f.Path)+".*") // 0600
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name())
	_, err = tmp.Write(text)
	if err := errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return err
	}
	if err := sameOwner(tmp.Name(), old); err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), f.Path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(f.Path))
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := dir.Sync(); err != nil {
		return err
	}
	again, err := ReadFile(f.Path)
	if err == nil {
		*f = *again
	}
	return err
}

// sameOwner gives a file the owner of another, where that is somebody else.
func sameOwner(path string, other *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(other.Fd()), &st); err != nil {
		return &fs.PathError{Op: "stat", Path: other.Name(), Err: err}
	}
	if int(st.Uid) == os.Geteuid() {
		return nil
	}
	return os.Chown(path, int(st.Uid), int(st.Gid))
}
