// Command arrows counts how the files of folders depend on each other: an arrow goes
// from a file to another one whose function, method, type, variable or constant it
// names. Arrows between files that stand in no circle can all point one way, from those
// that use to those that are used. Of the others it finds the order with the fewest that
// run back up.
//
//	go run ./tests/cmd/arrows [-back] FOLDER…
//
// A folder stands for all packages in it, also deeper ones; tests don't count. With -back the
// arrows that run back up are listed, too, each with what it is for.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	back := flag.Bool("back", false, "list the arrows that run back up")
	flag.Usage = func() {
		fmt.Fprintln(os.Stderr, "usage: arrows [-back] FOLDER…")
		flag.PrintDefaults()
	}
	flag.Parse()
	if flag.NArg() == 0 {
		flag.Usage()
		os.Exit(2)
	}
	for _, folder := range flag.Args() {
		g, err := read(folder)
		if err != nil {
			fmt.Fprintln(os.Stderr, "arrows:", err)
			os.Exit(1)
		}
		up := g.back()
		fmt.Printf("%s: %d packages, %d files, %d arrows, %d of them in circles, %d run back up\n", folder, g.packages, len(g.files), g.count(), g.inCircles(), len(up))
		if !*back {
			continue
		}
		for _, a := range up {
			fmt.Printf("\t%s -> %s: %s\n", g.files[a.from], g.files[a.to], g.arrows[a])
		}
	}
}
