package rotation

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Outdated returns what refuses a task that is made with values of secrets which count no
// more, as rotations have noted on this host: it comes from a store that is older than the
// rotation, and would lock out who uses the secret, or let in who has the old value. That
// holds also where the newest value is beside it, as in a store that still has that as
// pending. The values are told by the secret's name and its secret.Digest, with a space between.
// Where the notes can't be read, since they are root's, nothing is refused.
func Outdated() func(made []string) error { return outdated(dir) }

func outdated(dir string) func(made []string) error {
	var notes []Note
	files, _ := filepath.Glob(filepath.Join(dir, "secret.*.json"))
	for _, file := range files {
		if info, err := os.Lstat(file); err != nil || !info.Mode().IsRegular() || info.Size() > limit {
			continue
		}
		data, err := os.ReadFile(file)
		if n := read(data); err == nil && n.Secret != "" && len(n.Retired) > 0 {
			notes = append(notes, n)
		}
	}
	return func(made []string) error {
		for _, n := range notes {
			for _, m := range made {
				if name, d, _ := strings.Cut(m, " "); name == n.Secret && slices.Contains(n.Retired, d) {
					if d == n.GivenUp {
						return fmt.Errorf("it is made with a value of the secret %s that counts no more: %s has given it up; get the store without it first (git pull), or give it up in this one, too (muster rotate --back)", n.Secret, n.By)
					}
					return fmt.Errorf("it is made with a value of the secret %s that counts no more: %s has rotated it with a later store; get that first (git pull), or go on with the rotation where this is that store (muster rotate)", n.Secret, n.By)
				}
			}
		}
		return nil
	}
}
