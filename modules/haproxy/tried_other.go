//go:build !linux

package haproxy

import "time"

// HAProxy is run on Linux alone.

func (b bind) try(int, []int) error { return nil }

func bootTime() time.Time { return time.Time{} }
