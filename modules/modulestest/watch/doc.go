// Package watch lets a test see every system call by which a program touches files,
// before the kernel makes it, and fail the call or kill the program there.
//
// The kernel does the work: the watched process installs a seccomp filter that
// holds each such call of itself and of all programs that it starts, and asks
// whoever has the filter's descriptor (seccomp_unotify(2)). So nothing escapes
// that goes past the code under test's own helpers, and no tool is needed. Linux
// 5.19 or later.
//
// The test calls Start with a command; the program calls Enter before it does
// what is to be seen.
package watch
