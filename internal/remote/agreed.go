package remote

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"muster/host"
	"muster/internal/wire"
)

// A login that only plans could still have root run programs: planning asks them, and
// some are named by tasks (validate, a command that only reads), as are files whose
// content a diff shows. So such a login may have only those tasks planned that somebody
// with the right to change the host has had planned or made there before. A host that has
// such a login keeps their digests; see Options.Agreed.
//
// The file has a line with a key of the host's own, and a line for each task: the keyed
// digest and the day it was last seen. A line that can't be read counts as none, which
// makes a task unknown and nothing else.

// AgreedDir is the folder in which root's remotes keep the digests, where it exists: who
// sets up a login that only plans makes it.
const AgreedDir = "/var/lib/muster/night"

// Days for which a task stays known that nobody plans any more, and after which its line is written anew; and
// how many are kept.
const (
	agreedDays  = 400
	agreedAgain = 7
	agreedMost  = 50_000
)

// agreed is the tasks that may be planned by a login that only plans.
type agreed struct {
	key  []byte
	seen map[string]int // digest → day, as days since 1970
	more []string       // that are to be added
	f    *os.File
	now  func() time.Time
}

// openAgreed reads the digests of a folder. nil: the folder isn't there, so that none are
// kept. Whoever only plans makes nothing of it.
func openAgreed(dir string, onlyPlans bool) (*agreed, error) {
	a := &agreed{seen: map[string]int{}, now: time.Now}
	path := filepath.Join(dir, "agreed")
	if onlyPlans {
		data, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return nil, err
		}
		a.read(bytes.NewReader(data))
		return a, nil
	}
	if info, err := os.Lstat(dir); err != nil || !info.IsDir() {
		return nil, nil
	}
	f, err := host.OpenLock(path)
	if err != nil {
		return nil, err
	}
	a.f = f
	return a, a.locked(func() error {
		a.read(f)
		if a.key != nil && len(a.seen) <= agreedMost {
			return nil
		}
		return a.anew()
	})
}

// locked does something while no other remote writes.
func (a *agreed) locked(do func() error) error {
	if err := unix.Flock(int(a.f.Fd()), unix.LOCK_EX); err != nil {
		return err
	}
	defer func() { _ = unix.Flock(int(a.f.Fd()), unix.LOCK_UN) }()
	return do()
}

func (a *agreed) read(r io.Reader) {
	for lines := bufio.NewScanner(r); lines.Scan(); {
		word, rest, _ := strings.Cut(lines.Text(), " ")
		if word == "key" {
			if key, err := hex.DecodeString(rest); err == nil && len(key) == sha256.Size {
				a.key = key
			}
			continue
		}
		if day, err := strconv.Atoi(rest); err == nil && len(word) == 2*sha256.Size && day+agreedDays >= a.today() {
			a.seen[word] = max(a.seen[word], day)
		}
	}
}

// anew writes the file from its begin, with the newest of what is known.
func (a *agreed) anew() error {
	if a.key == nil {
		a.key = make([]byte, sha256.Size)
		_, _ = rand.Read(a.key) // never fails, as crypto/rand promises
		a.seen = map[string]int{}
	}
	list := make([]string, 0, len(a.seen))
	for digest := range a.seen {
		list = append(list, digest)
	}
	slices.SortFunc(list, func(x, y string) int { return a.seen[y] - a.seen[x] })
	for _, digest := range list[min(len(list), agreedMost/2):] {
		delete(a.seen, digest)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "key %x\n", a.key)
	for _, digest := range list[:min(len(list), agreedMost/2)] {
		fmt.Fprintf(&b, "%s %d\n", digest, a.seen[digest])
	}
	if err := a.f.Truncate(0); err != nil {
		return err
	}
	_, err := a.f.WriteAt(b.Bytes(), 0)
	return err
}

func (a *agreed) today() int { return int(a.now().Unix() / 86400) }

// digest is the digest of what a task asks for: its kind and arguments, as whom it acts,
// and what is hidden of it. When it is planned, and what becomes of its failure, doesn't count.
func (a *agreed) digest(t *wire.Task) (string, error) {
	what := wire.Task{Kind: t.Kind, Args: t.Args, As: t.As, Sensitive: t.Sensitive, Timeout: t.Timeout, Apart: t.Apart, Others: t.Others, Made: t.Made, Ended: t.Ended, Environment: t.Environment}
	what.Secrets, what.Withheld = slices.Sorted(slices.Values(t.Secrets)), slices.Sorted(slices.Values(t.Withheld))
	data, err := wire.Canonical(&what)
	if err != nil {
		return "", err
	}
	mac := hmac.New(sha256.New, a.key)
	mac.Write(data)
	return hex.EncodeToString(mac.Sum(nil)), nil
}

// has reports whether a task may be planned.
func (a *agreed) has(t *wire.Task) bool {
	if a.key == nil {
		return false
	}
	digest, err := a.digest(t)
	_, ok := a.seen[digest]
	return err == nil && ok
}

// add notes a task that somebody plans who may change the host.
func (a *agreed) add(t *wire.Task) {
	digest, err := a.digest(t)
	if err != nil {
		return // it stays unknown
	}
	if day, ok := a.seen[digest]; ok && day+agreedAgain > a.today() {
		return
	}
	a.seen[digest] = a.today()
	a.more = append(a.more, digest)
}

// flush writes what was added.
func (a *agreed) flush() {
	if len(a.more) == 0 {
		return
	}
	b := bytes.NewBufferString("\n") // a line that was cut stays by itself
	for _, digest := range a.more {
		fmt.Fprintf(b, "%s %d\n", digest, a.seen[digest])
	}
	a.more = nil
	// Where it fails the tasks stay unknown, which a check says.
	_ = a.locked(func() error {
		if _, err := a.f.Seek(0, io.SeekEnd); err != nil {
			return err
		}
		_, err := a.f.Write(b.Bytes())
		return err
	})
}
