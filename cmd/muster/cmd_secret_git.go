package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"muster/host"
	"muster/internal/identity"
	"muster/internal/vault"
)

// gitDriver is what stores are called in git's settings.
const gitDriver = "muster-secret"

// gitSettings are what git has to be told once in each clone: no repository can do so.
func gitSettings() [][2]string {
	return [][2]string{
		{"merge." + gitDriver + ".name", "muster's stores of secrets, by name"},
		{"merge." + gitDriver + ".driver", "muster secret merge %O %A %B %P"},
		{"diff." + gitDriver + ".textconv", "muster secret textconv"},
	}
}

// setUpGit has git merge stores and show them; or it tells how to, where it isn't to.
func (a *app) setUpGit(path string, really bool) error {
	abs, err := filepath.Abs(path)
	if err != nil {
		return err
	}
	dir := filepath.Dir(abs)
	out, err := exec.Command("git", "-C", dir, "rev-parse", "--show-toplevel").Output()
	top := strings.TrimSuffix(string(out), "\n")
	if err != nil || top == "" {
		if really {
			return fmt.Errorf("--git: %s isn't in a git repository", dir)
		}
		return nil
	}
	real, err := filepath.EvalSymlinks(abs)
	if err != nil {
		return err
	}
	rel, err := filepath.Rel(top, real)
	if err != nil {
		return err
	}
	line := attributesLine(rel)
	attributes := filepath.Join(top, ".gitattributes")
	if !really {
		fmt.Fprintf(a.out, "For git, \"muster secret init --git\" adds to %s:\n  %s\nand to the settings of this clone, as everybody does once in theirs:\n", near(attributes), line)
		for _, s := range gitSettings() {
			fmt.Fprintf(a.out, "  git config %s '%s'\n", s[0], strings.ReplaceAll(s[1], "'", `'\''`))
		}
		return nil
	}
	if err := addLine(attributes, line); err != nil {
		return err
	}
	for _, s := range gitSettings() {
		if out, err := exec.Command("git", "-C", dir, "config", s[0], s[1]).CombinedOutput(); err != nil {
			return fmt.Errorf("git config %s: %w: %s", s[0], err, bytes.TrimSpace(out))
		}
	}
	fmt.Fprintf(a.out, "Git merges %s by name, and shows it without values.\n", rel)
	return nil
}

// attributesLine is the line of .gitattributes for a store.
func attributesLine(rel string) string {
	pattern := "/" + filepath.ToSlash(rel)
	if strings.ContainsAny(pattern, " \t\"\\*?[") {
		pattern = `"` + strings.NewReplacer(`\`, `\\\\`, `"`, `\"`, "*", `\\*`, "?", `\\?`, "[", `\\[`, "\t", `\t`).Replace(pattern) + `"`
	}
	return pattern + " merge=" + gitDriver + " diff=" + gitDriver
}

// addLine adds a line to a file, where it isn't there.
func addLine(path, line string) error {
	data, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	for text := range strings.Lines(string(data)) {
		if strings.TrimSpace(text) == line {
			return nil
		}
	}
	if len(data) > 0 && data[len(data)-1] != '\n' {
		data = append(data, '\n')
	}
	return os.WriteFile(path, append(data, line+"\n"...), 0o644)
}

func newSecretMerge(a *app) *cobra.Command {
	take := ""
	cmd := &cobra.Command{
		Use:   "merge BASE OURS THEIRS [NAME]",
		Short: "Merge two sides of a store by name: git's merge driver",
		Long: "Merge brings what THEIRS has changed since BASE into OURS, which it writes, and seals it again. All three are checked first. " +
			"Secrets of different names never conflict. Where both sides have changed one secret, it is named, nothing is written, and the exit code is 1; --take decides for all such.\n\n" +
			"Git calls it so (see \"muster secret init --git\"). NAME is what messages call the file.",
		Example: "  muster secret merge --take theirs base.hcl secrets/production.hcl theirs.hcl",
		Args:    cobra.RangeArgs(3, 4),
		RunE: func(_ *cobra.Command, args []string) error {
			if take != "" && take != vault.Ours && take != vault.Theirs {
				return fmt.Errorf("--take is %s or %s, not %q", vault.Ours, vault.Theirs, take)
			}
			return a.mergeStores(args, take)
		},
	}
	cmd.Flags().StringVar(&take, "take", "", "where both have changed a secret, take `SIDE`: ours or theirs")
	return cmd
}

func (a *app) mergeStores(args []string, take string) error {
	name := args[1]
	if len(args) == 4 {
		name = args[3]
	}
	ids, _, err := a.identities()
	if err != nil && !errors.Is(err, identity.ErrNone) {
		return err
	}
	side := func(path, which string) (vault.Side, error) {
		src, err := os.ReadFile(path)
		return vault.Side{Name: name + " (" + which + ")", Src: src}, err
	}
	base, err := side(args[0], "base")
	if err != nil {
		return err
	}
	theirs, err := side(args[2], vault.Theirs)
	if err != nil {
		return err
	}
	ours, err := vault.MergeInto(args[1], name+" ("+vault.Ours+")", base, theirs, vault.MergeOptions{Identities: ids, Take: take})
	var clash *vault.ConflictError
	switch {
	case errors.As(err, &clash):
		return fmt.Errorf("%s: %w; nothing was merged. Decide with:\n"+
			"  git show :1:%[3]s > /tmp/base.hcl; git show :2:%[3]s > %[3]s; git show :3:%[3]s > /tmp/theirs.hcl\n"+
			"  muster secret merge --take ours /tmp/base.hcl %[3]s /tmp/theirs.hcl     # or --take theirs", name, clash, name)
	case err != nil:
		sources := map[string][]byte{}
		for _, s := range []vault.Side{base, ours, theirs} {
			sources[s.Name] = s.Src
		}
		return a.storeError(err, "", sources)
	}
	return nil
}

func newSecretTextconv(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "textconv FILE",
		Short: "Show a store without its values: git's diff",
		Long: "Textconv prints a store with a digest in the place of each value, which differs where values do and can't be turned back, for git diff. " +
			"Where no identity opens the store, it prints the file as it is.",
		Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			src, err := os.ReadFile(args[0])
			if err != nil {
				return err
			}
			ids, _, err := a.identities()
			var s *vault.Store
			if err == nil {
				s, err = vault.Parse(args[0], src)
			}
			if err == nil {
				err = s.Unlock(ids...)
			}
			var text []byte
			if err == nil {
				text, err = s.Text()
			}
			if err != nil { // git shows no diff at all where this fails
				text = append([]byte("# not checked, and shown as it is\n"), src...)
			}
			_, err = a.out.Write(text)
			return err
		},
	}
}

func newSecretRekey(a *app) *cobra.Command {
	yes := false
	var moved []string
	cmd := &cobra.Command{
		Use:   "rekey",
		Short: "Seal the store to the recipients that stand in it",
		Long: "Rekey makes a new data key, seals it to the recipients that the file has, and seals every value anew. Who joins and who leaves is shown first.\n\n" +
			"Those who leave keep what they have read: the secrets that they could read are listed, and stay listed in the store until each has been rotated. " +
			"Somebody whose key is another one than before leaves with the old one; --moved NAME says that the old one is destroyed, and nothing is listed.",
		Args: cobra.NoArgs,
		RunE: func(*cobra.Command, []string) error { return a.rekey(yes, moved) },
	}
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	cmd.Flags().Var(names{&moved}, "moved", "`NAMES` of recipients who have only moved to another key")
	return cmd
}

func (a *app) rekey(yes bool, moved []string) error {
	s, err := a.openStore()
	if err != nil {
		return err
	}
	join, leave := s.Changed()
	for _, r := range leave {
		fmt.Fprintf(a.out, "leaves: %s (%s)\n", r.Name, r.Key)
	}
	for _, r := range join {
		fmt.Fprintf(a.out, "joins:  %s (%s)\n", r.Name, r.Key)
	}
	if len(join)+len(leave) == 0 {
		fmt.Fprintln(a.out, "The recipients are the same; a new data key is made.")
	}
	if !yes {
		ok, err := a.ask(context.Background(), "Seal the store to these recipients?")
		if err != nil {
			return err
		}
		if !ok {
			return exitError(exitUsage)
		}
	}
	var done *vault.Rekeyed
	err = a.update(func(now *vault.Store) (err error) {
		if j, l := now.Changed(); now.Generation() != s.Generation() || !sameRecipients(j, join) || !sameRecipients(l, leave) {
			return errors.New("the store was edited meanwhile: look at it again")
		}
		done, err = now.Rekey(moved...)
		return err
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(a.out, "%s is sealed to %s.\n", s.Path, recipientNames(done.To))
	if len(done.Seen) > 0 {
		fmt.Fprintf(a.out, "%s could read, and may still have, %s to be rotated:\n", recipientNames(done.Left), host.Counted(len(done.Seen), "secret, which is", "secrets, which are"))
		for _, name := range done.Seen {
			fmt.Fprintln(a.out, "  "+name)
		}
		fmt.Fprintln(a.out, "\"muster secret check\" lists what is left of them.")
	}
	return nil
}

// sameRecipients compares what was shown with what is there.
func sameRecipients(a, b []vault.Recipient) bool {
	return slices.EqualFunc(a, b, func(x, y vault.Recipient) bool { return x.Name == y.Name && x.Key == y.Key })
}
