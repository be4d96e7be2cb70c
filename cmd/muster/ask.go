package main

import (
	"fmt"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// askHidden asks at the terminal for something that isn't to be seen. Nothing is
// echoed from the moment on at which the question stands there.
func (a *app) askHidden(question string) ([]byte, error) {
	fd := int(a.in.Fd())
	old, err := unix.IoctlGetTermios(fd, getTermios)
	if err != nil {
		return nil, err
	}
	quiet := *old
	quiet.Lflag &^= unix.ECHO
	if err := unix.IoctlSetTermios(fd, setTermios, &quiet); err != nil {
		return nil, err
	}
	defer func() { _ = unix.IoctlSetTermios(fd, setTermios, old) }()
	fmt.Fprint(a.err, question)
	defer fmt.Fprintln(a.err)
	return term.ReadPassword(fd)
}
