package launch

import (
	"strings"
	"testing"
)

func TestLastWordsAreWhatAProgramPanickedWith(t *testing.T) {
	stack := "goroutine 1 [running]:\nmain.serve(0x0)\n\tmuster/cmd/muster-remote/main.go:61 +0x1\n\n"
	for name, test := range map[string]struct{ said, want string }{
		"no panic":                      {"one\ntwo\nthree\nfour\nfive\n", "two; three; four; five"},
		"a panic":                       {"a warning\npanic: nil map\n\n" + stack, "panic: nil map"},
		"a panic with a signal":         {"panic: runtime error: invalid memory address\n[signal SIGSEGV: segmentation violation]\n\n" + stack, "panic: runtime error: invalid memory address; [signal SIGSEGV: segmentation violation]"},
		"a panic with very many stacks": {"panic: nil map\n\n" + strings.Repeat(stack, 1000), "panic: nil map"},
		"an error of the runtime":       {"fatal error: all goroutines are asleep - deadlock!\n\n" + stack, "fatal error: all goroutines are asleep - deadlock!"},
	} {
		t.Run(name, func(t *testing.T) {
			tail := newTail("prompt", func(int) {})
			tail.follow(strings.NewReader(test.said))
			if got := tail.words(); got != test.want {
				t.Errorf("it says %q, want %q", got, test.want)
			}
		})
	}
}
