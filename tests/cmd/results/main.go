// Command results keeps what a stage of make test runs, and tells afterwards
// what none of them ran.
//
//	go test -json ./... | results record [-strict] FOLDER/STAGE.json
//	results excuse FOLDER/STAGE.json PACKAGE TEST WHY
//	results check FOLDER
//
// The first shows the stage as people read it, and with -strict fails where a
// test was skipped. The second stands for a stage that this machine can't run. The last, from the top of the tree, counts the stages of a
// whole run, and fails where a test was skipped and ran in none, or a promise of
// docs/promises.md wasn't held.
package main

import (
	"errors"
	"fmt"
	"os"

	"muster/tests/promises"
	"muster/tests/results"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "results:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	switch {
	case len(args) == 2 && args[0] == "record":
		return record(args[1], false)
	case len(args) == 3 && args[0] == "record" && args[1] == "-strict":
		return record(args[2], true)
	case len(args) == 5 && args[0] == "excuse":
		data, err := results.Excuse(args[2], args[3], args[4])
		if err != nil {
			return err
		}
		return os.WriteFile(args[1], append(data, '\n'), 0o644)
	case len(args) == 2 && args[0] == "check":
		return check(args[1])
	}
	return errors.New("usage: results record [-strict] FOLDER/STAGE.json, results excuse FOLDER/STAGE.json PACKAGE TEST WHY, or results check FOLDER")
}

func record(path string, strict bool) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	stage, err := results.Record(os.Stdin, file, os.Stdout)
	if err := errors.Join(err, file.Close()); err != nil {
		return err
	}
	if stage.Failed() {
		return errors.New("tests failed")
	}
	if skipped := stage.Skipped(); strict && len(skipped) > 0 {
		for _, line := range skipped {
			fmt.Println("skipped:", line)
		}
		return errors.New("tests were skipped")
	}
	return nil
}

func check(folder string) error {
	stages, err := results.Read(folder)
	if err != nil {
		return err
	}
	list, problems, err := promises.Read(".")
	if err != nil {
		return err
	}
	fmt.Printf("%-20s %8s %8s\n", "stage", "passed", "skipped")
	for _, s := range stages {
		fmt.Printf("%-20s %8d %8d\n", s.Name, s.Count("pass"), s.Count("skip"))
	}
	wrong := results.Check(stages, list)
	for _, p := range append(problems, promises.Check(".", list)...) {
		wrong = append(wrong, p.String())
	}
	for _, line := range wrong {
		fmt.Println(line)
	}
	for _, line := range results.Excused(stages) {
		fmt.Println(line)
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d tests or promises aren't held", len(wrong))
	}
	longer := 0
	for _, p := range list {
		if results.Longer(p) {
			longer++
		}
	}
	fmt.Printf("every test that a stage skips runs in another; %d promises are held, %d more are left to make test-long\n", len(list)-longer, longer)
	return nil
}
