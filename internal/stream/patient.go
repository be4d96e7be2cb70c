package stream

import (
	"errors"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"muster/internal/wire"
)

// patient is a connection of which a write fails where the other side takes nothing for
// wire.Stall, as the kernel tells it: that of a full buffer some packets have been taken.
type patient struct{ net.Conn }

// glance is how often is looked whether anything was taken.
const glance = wire.Stall / 20

// Write writes all of p.
func (c *patient) Write(p []byte) (int, error) {
	n, last, waiting := 0, time.Now(), c.waiting()
	for {
		_ = c.SetWriteDeadline(time.Now().Add(glance))
		k, err := c.Conn.Write(p[n:])
		n += k
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return n, err
		}
		left := c.waiting()
		if k > 0 || left < waiting {
			last = time.Now()
		}
		if waiting = left; time.Since(last) > wire.Stall {
			return n, ErrStalled
		}
	}
}

// waiting is how many bytes the other side hasn't taken yet, as far as that is known: the
// kernel lets a writer go on only when a good part of its buffer is free (tcp(7), SIOCOUTQ).
func (c *patient) waiting() (n int) {
	s, ok := c.Conn.(syscall.Conn)
	if !ok {
		return 0
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0
	}
	_ = raw.Control(func(fd uintptr) { n, _ = unix.IoctlGetInt(int(fd), unix.TIOCOUTQ) })
	return n
}
