package main

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// memory measures what a run of 100 unchanged tasks takes for each further host,
// as the system sees muster: what lives, what the collector leaves for later, and
// what it hasn't given back. What lives alone is held to its bound by a test of
// cmd/muster. The hosts are in another process, behind one bastion connection.
func memory(args []string) error {
	const few, many = 20, 220
	if len(args) != 2 {
		return fmt.Errorf("memory takes the programs muster and fleet")
	}
	muster, err := filepath.Abs(args[0])
	if err != nil {
		return err
	}
	small, err := plan(muster, args[1], few)
	if err != nil {
		return err
	}
	large, err := plan(muster, args[1], many)
	if err != nil {
		return err
	}
	fmt.Printf("a plan of 100 unchanged tasks: on %d hosts %d MB resident at most, on %d hosts %d MB: %d KB for each host, the collector's share included\n",
		few, small.peak>>20, many, large.peak>>20, (large.peak-small.peak)/(many-few)>>10)
	return nil
}

// plan measures muster plan on so many hosts.
func plan(muster, fleet string, hosts int) (usage, error) {
	dir, err := os.MkdirTemp("", "muster-bench-")
	if err != nil {
		return usage{}, err
	}
	defer os.RemoveAll(dir)
	cmd := exec.Command(fleet, "-hosts", fmt.Sprint(hosts), "-tasks", "100", dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return usage{}, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return usage{}, err
	}
	if err := cmd.Start(); err != nil {
		return usage{}, err
	}
	defer func() {
		in.Close()
		_ = cmd.Wait()
	}()
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		return usage{}, fmt.Errorf("the fleet says %q: %w", line, err)
	}
	// All hosts share their files: one apply is for all.
	if _, err := run(dir, []int{0}, muster, "apply", "site.hcl", "--limit", "web0", "--yes"); err != nil {
		return usage{}, err
	}
	return rounds(3, func() (usage, error) { return run(dir, []int{0}, muster, "plan", "site.hcl", "--detailed-exitcode") })
}
