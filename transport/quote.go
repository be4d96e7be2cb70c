package transport

import (
	"errors"
	"fmt"
	"strings"
)

// maxCommand keeps a command well below what Linux takes as one argument
// (MAX_ARG_STRLEN, 128 KiB: execve(2)).
const maxCommand = 100 << 10

// Quote returns s as one word for a POSIX shell.
func Quote(s string) string {
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// LoginCommand wraps command so that every login shell (sh, bash, zsh, fish,
// csh) hands it to /bin/sh unchanged. What is inside single quotes is taken
// literally by all of them but for: the quote; the backslash before it (fish);
// "!" and newlines (csh). A command with those, or with bytes that are not
// printable ASCII, travels as octal escapes of printf's %b (POSIX).
func LoginCommand(command string) (string, error) {
	if strings.ContainsRune(command, 0) {
		return "", errors.New("a command cannot hold a NUL byte")
	}
	var b strings.Builder
	plain := true
	for i := range len(command) {
		c := command[i]
		if c < ' ' || c > '~' || c == '\'' || c == '\\' || c == '!' {
			fmt.Fprintf(&b, `\0%03o`, c)
			plain = false
			continue
		}
		b.WriteByte(c)
	}
	wrapped := "/bin/sh -c '" + b.String() + "'"
	if !plain {
		wrapped = `/bin/sh -c 'eval "$(printf %b "$1")"' sh '` + b.String() + "'"
	}
	if len(wrapped) > maxCommand {
		return "", fmt.Errorf("a command of %d bytes is too long: send it by stdin", len(command))
	}
	return wrapped, nil
}
