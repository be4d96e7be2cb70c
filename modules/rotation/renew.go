package rotation

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Renew lets this host know that a rotation is still in hand, by the time of its note, so
// that what the note says stays as it was planned on. It returns who has the rotation: where
// that isn't by, it was taken meanwhile, and nothing is renewed. It changes nothing else,
// and needs no lock of the host: one's own run may have that for hours.
func Renew(secret, by string) (has string, err error) {
	return renew((&State{Secret: secret}).path(), by, time.Now())
}

func renew(path, by string, now time.Time) (has string, err error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	if !info.Mode().IsRegular() || info.Size() > limit {
		return "", errors.New("the note of the rotation is no file of muster's")
	}
	data, err := io.ReadAll(f)
	if err != nil {
		return "", err
	}
	n := read(data)
	if n.By != by {
		return n.By, nil
	}
	at := unix.NsecToTimeval(now.UnixNano())
	if err := unix.Futimes(int(f.Fd()), []unix.Timeval{at, at}); err != nil {
		return "", fmt.Errorf("renewing the rotation: %w", err)
	}
	return by, nil
}

// heard is when something was heard last of who has noted what a file says: by a note, or
// by its renewal. It is zero where there is none.
func heard(path string, n Note) time.Time {
	at, _ := time.Parse(time.RFC3339, n.Since)
	if info, err := os.Stat(path); err == nil && info.ModTime().After(at) {
		at = info.ModTime()
	}
	return at
}
