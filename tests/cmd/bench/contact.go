package main

import (
	"compress/gzip"
	"io"
	"os"
	"path/filepath"
)

// contactLimit is what may be sent to a host that has no remote yet: 6 MiB. The
// scripts and tasks that go with it get what the last 64 KiB are for.
const contactLimit = 6<<20 - 64<<10

// contact packs remotes as make build does, and holds them to the bound.
func contact(args []string) error {
	for _, name := range args {
		f, err := os.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		var packed counter
		w, err := gzip.NewWriterLevel(&packed, gzip.BestCompression)
		if err != nil {
			return err
		}
		if _, err := io.Copy(w, f); err != nil {
			return err
		}
		if err := w.Close(); err != nil {
			return err
		}
		if err := within("the remote with MySQL and Docker clients, packed, for "+filepath.Base(name), int64(packed)>>10, contactLimit>>10, "KiB"); err != nil {
			return err
		}
	}
	return nil
}

// counter counts what is written to it.
type counter int64

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}
