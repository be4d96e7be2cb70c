package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"sync"

	"filippo.io/age"
	"github.com/hashicorp/hcl/v2"
	"golang.org/x/term"

	"muster/internal/identity"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
	"muster/internal/planfile"
	"muster/internal/project"
	"muster/internal/vault"
	"muster/secret"
)

// where says where the user's identity is looked for.
func (a *app) where() (identity.Where, error) {
	w := identity.Where{Named: os.Getenv("MUSTER_IDENTITY")}
	home, err := os.UserHomeDir()
	if err != nil && w.Named == "" {
		return w, identity.ErrNone
	}
	w.Home = home
	if term.IsTerminal(int(a.in.Fd())) {
		w.Passphrase = func(path string) ([]byte, error) {
			return a.askHidden("passphrase of " + path + ": ")
		}
	}
	return w, nil
}

// identities are the keys that may open a store. Skipped is what couldn't be used of them.
func (a *app) identities() (ids []age.Identity, skipped, err error) {
	w, err := a.where()
	if err != nil {
		return nil, nil, err
	}
	return identity.All(w)
}

// storePath is the store that the flags or the project name; "" for none.
func (a *app) storePath(p *project.Project) string {
	if a.storeFile != "" {
		return a.storeFile
	}
	if p.Secrets == "" {
		return ""
	}
	return near(p.Secrets)
}

// used is the store of a run, and what the run reads of it. It is opened when the first
// value is read.
type used struct {
	app   *app
	store *vault.Store
	once  sync.Once
	err   error

	mu   sync.Mutex
	read map[string]int // versions, by name
	asks map[string]func() (secret.String, error)
}

// secrets reads the names of the store, if there is one. What is wrong with it is a
// problem of the project's.
func (a *app) secrets(p *project.Project, sources map[string][]byte) (plays.Secrets, hcl.Diagnostics) {
	path := a.storePath(p)
	if path == "" {
		return nil, nil
	}
	s, err := vault.Read(path)
	if err != nil {
		var diags hcl.Diagnostics
		if !errors.As(err, &diags) {
			diags = hcl.Diagnostics{{Severity: hcl.DiagError, Summary: "Unreadable store of secrets", Detail: err.Error() + "."}}
		}
		if src, err := os.ReadFile(path); err == nil {
			sources[path] = src
		}
		return noSecrets{}, diags
	}
	return &used{app: a, store: s, read: map[string]int{}, asks: map[string]func() (secret.String, error){}}, nil
}

// noSecrets stands for a store that can't be read, which has been said.
type noSecrets struct{}

// Names returns none.
func (noSecrets) Names() []string { return nil }

// Partial says that names aren't known.
func (noSecrets) Partial() bool { return true }

// Open returns none.
func (noSecrets) Open() []string { return nil }

// Versions is never called.
func (noSecrets) Versions(_, name string) (plays.SecretVersions, error) {
	return plays.SecretVersions{}, fmt.Errorf("%q: %w", name, vault.ErrNotFound)
}

// Names returns the names of all secrets.
func (u *used) Names() []string { return u.store.Names() }

// unlock opens the store, once.
func (u *used) unlock() error {
	u.once.Do(func() {
		ids, skipped, err := u.app.identities()
		if err != nil && !errors.Is(err, identity.ErrNone) {
			u.err = err
			return
		}
		u.err = u.store.Unlock(ids...)
		var wrong *vault.WrongKeyError
		if errors.As(u.err, &wrong) && skipped != nil {
			u.app.view().Warn(skipped.Error())
		}
	})
	return u.err
}

// Open returns the names of secrets whose rotation is open.
func (u *used) Open() []string {
	var list []string
	for _, name := range u.store.Names() {
		if i, ok := u.store.Info(name); ok && i.Pending+i.Previous > 0 {
			list = append(list, name)
		}
	}
	return list
}

// Versions opens a secret. All hosts use the current version; the pending and the previous
// one are valid besides.
func (u *used) Versions(_, name string) (plays.SecretVersions, error) {
	if i, ok := u.store.Info(name); ok && i.From != "" {
		value, err := u.ask(name)
		return plays.SecretVersions{Valid: []secret.String{value}}, err
	}
	if err := u.unlock(); err != nil {
		if u.app.comesLater(err) {
			u.app.laterMu.Lock()
			if u.app.later == nil {
				u.app.later = map[string]bool{}
			}
			u.app.later[name] = true
			u.app.laterMu.Unlock()
			err = fmt.Errorf("the store isn't sealed to you yet, and %w, with a run after it is", plays.ErrLater)
		}
		return plays.SecretVersions{}, err
	}
	v, err := u.store.Get(name)
	if err != nil {
		return plays.SecretVersions{}, err
	}
	u.mu.Lock()
	u.read[name] = v.Current.Number
	u.mu.Unlock()
	list := []vault.Version{v.Pending, v.Current, v.Previous}
	list = slices.DeleteFunc(list, func(x vault.Version) bool { return x.Number == 0 })
	slices.SortStableFunc(list, func(x, y vault.Version) int { return y.Number - x.Number })
	var all plays.SecretVersions
	for n, x := range list {
		if x.Number == v.Current.Number {
			all.Use = n
		}
		all.Valid = append(all.Valid, x.Value)
	}
	if v.Previous.Number != 0 {
		all.Ending = 1
	}
	return all, nil
}

// ask asks the program that has a secret, once in a run.
func (u *used) ask(name string) (secret.String, error) {
	u.mu.Lock()
	ask, ok := u.asks[name]
	if !ok {
		ask = sync.OnceValues(func() (secret.String, error) { return u.store.Ask(context.Background(), name) })
		u.asks[name] = ask
	}
	u.mu.Unlock()
	return ask()
}

// openSecrets opens the store of a playbook that reads secrets, before any host is
// connected to.
func (a *app) openSecrets(pb *eval.Playbook, s plays.Secrets, sources map[string][]byte) error {
	u, ok := s.(*used)
	if !ok || !slices.ContainsFunc(pb.Secrets, func(name string) bool {
		i, ok := u.store.Info(name)
		return ok && i.From == ""
	}) {
		return nil
	}
	err := u.unlock()
	if a.comesLater(err) {
		return nil
	}
	return a.storeError(err, u.store.Path, sources)
}

// comesLater reports whether a store that can't be opened doesn't hold up a run: it isn't
// sealed to the user yet.
func (a *app) comesLater(err error) bool {
	var wrong *vault.WrongKeyError
	return a.secretsLater && errors.As(err, &wrong)
}

// storeError shows what is wrong with a store.
func (a *app) storeError(err error, path string, sources map[string][]byte) error {
	var diags hcl.Diagnostics
	if !errors.As(err, &diags) {
		return err
	}
	if sources == nil {
		sources = map[string][]byte{}
	}
	if src, err := os.ReadFile(path); err == nil {
		sources[path] = src
	}
	return a.fail(diags, sources)
}

// versions are what was read, as a plan keeps it.
func (u *used) versions() []planfile.Secret {
	u.mu.Lock()
	defer u.mu.Unlock()
	var list []planfile.Secret
	for name, number := range u.read {
		list = append(list, planfile.Secret{Name: name, Version: strconv.Itoa(number)})
	}
	slices.SortFunc(list, func(x, y planfile.Secret) int {
		if x.Name < y.Name {
			return -1
		}
		return 1
	})
	return list
}

// holds says which of a plan's secrets the store has no more in the version that it was
// planned with.
func (u *used) holds(list []planfile.Secret) error {
	var moved []error
	for _, s := range list {
		i, ok := u.store.Info(s.Name)
		switch {
		case !ok:
			moved = append(moved, fmt.Errorf("it uses the secret %s, which the store doesn't have any more", s.Name))
		case i.From == "" && strconv.Itoa(i.Current) != s.Version:
			moved = append(moved, fmt.Errorf("it uses version %s of the secret %s, whose current version is %d", s.Version, s.Name, i.Current))
		}
	}
	return errors.Join(moved...)
}
