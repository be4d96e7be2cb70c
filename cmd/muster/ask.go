package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// ask asks a question that is answered by yes or no. Where ctx ends before it is answered,
// that is no yes.
func (a *app) ask(ctx context.Context, question string) (bool, error) {
	if !term.IsTerminal(int(a.in.Fd())) {
		return false, errNoTerminal
	}
	fmt.Fprintf(a.err, "%s [y/N] ", question)
	type answer struct {
		line string
		err  error
	}
	answers := make(chan answer, 1)
	go func() { // nothing ends the reading of a terminal but its answer
		line, err := bufio.NewReader(a.in).ReadString('\n')
		answers <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		return false, context.Cause(ctx)
	case given := <-answers:
		if errors.Is(given.err, io.EOF) {
			fmt.Fprintln(a.err)
		} else if given.err != nil {
			return false, given.err
		}
		word := strings.ToLower(strings.TrimSpace(given.line))
		return word == "y" || word == "yes", nil
	}
}

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
