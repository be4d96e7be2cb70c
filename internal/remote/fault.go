package remote

import (
	"context"
	"fmt"
	"runtime/debug"
	"strings"
)

// working works. A panic is an error that says so: what the program prints by itself
// ends in the stack of some goroutine.
func (s *server) working(ctx context.Context) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("a fault of muster's own: panic: %v (in %s)", p, origin(debug.Stack()))
		}
	}()
	return s.work(ctx)
}

// origin returns the function that panicked, and its place, out of a stack.
func origin(stack []byte) string {
	_, at, found := strings.Cut(string(stack), "\npanic(")
	if !found {
		return "an unknown place"
	}
	lines := strings.Split(at, "\n")
	for i, line := range lines[1:] {
		name, call := strings.CutPrefix(line, "muster/")
		if call && i+2 < len(lines) {
			file, _, _ := strings.Cut(strings.TrimSpace(lines[i+2]), " ")
			name, _, _ = strings.Cut(name, "(0x")
			return name + ", " + file[strings.LastIndexByte(file, '/')+1:]
		}
	}
	return "an unknown place"
}
