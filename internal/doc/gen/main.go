// Command gen writes the comments of the structs behind kinds as JSON.
package main

import (
	"encoding/json"
	"fmt"
	"os"

	"muster/internal/doc/source"
)

func main() {
	comments, err := source.Read(os.Args[1])
	if err == nil {
		var data []byte
		if data, err = json.MarshalIndent(comments, "", "  "); err == nil {
			err = os.WriteFile(os.Args[2], append(data, '\n'), 0o644)
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}
