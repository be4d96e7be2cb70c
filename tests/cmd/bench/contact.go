package main

import (
	"os"
	"path/filepath"
	"strings"
)

// contactLimit is what the remote may have, packed: 6 MiB. The scripts that go with it
// get what the last 64 KiB are for.
const contactLimit = 6<<20 - 64<<10

// contact holds remotes, as make build has packed them, to the bound.
func contact(args []string) error {
	for _, name := range args {
		info, err := os.Stat(name)
		if err != nil {
			return err
		}
		arch := strings.TrimSuffix(filepath.Base(name), ".gz")
		if err := within("the remote with MySQL and Docker clients, packed, for "+arch, info.Size()>>10, contactLimit>>10, "KiB"); err != nil {
			return err
		}
	}
	return nil
}
