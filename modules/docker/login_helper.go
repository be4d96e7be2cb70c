package docker

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"muster/host"
)

// program is the credential helper of the file: docker-credential-NAME, which takes
// what it is told on its standard input.
func (f loginFile) program() string { return "docker-credential-" + f.helper }

func (f loginFile) key(registry string) host.Key {
	return host.Key{Space: logins, Name: f.path + " " + registry}
}

// kept is what stands at the key of a helper's credential.
type keptSum struct {
	User string `json:"user"`
	Sum  string `json:"sum"`
}

// ask asks the helper for a registry's credential; nil where it has none.
func (f loginFile) ask(ctx context.Context, v *host.View, registry string) (*credential, error) {
	value, laid, _, err := v.Look(f.key(registry))
	if err != nil {
		return nil, err
	}
	if laid {
		if value == nil {
			return nil, nil
		}
		var is keptSum
		err := host.Unmarshal(value, &is)
		return &credential{User: is.User, sum: is.Sum}, err
	}
	out, err := v.Query(ctx, host.Command{Argv: []string{f.program(), "get"}, Stdin: strings.NewReader(registry)}, f.key(registry))
	if errors.Is(err, host.ErrNoProgram) {
		if v.Pending() {
			if _, _, open, look := v.Look(host.File("/usr/bin/" + f.program())); look != nil || open {
				return nil, fmt.Errorf("the program %s is %w", f.program(), host.ErrNotYet)
			}
		}
		return nil, fmt.Errorf("%s has logins kept by %s, which isn't installed: install it in an earlier task (package \"golang-docker-credential-helpers\"), or take credsStore and credHelpers out of the file", f.path, f.program())
	}
	if err != nil {
		return nil, err
	}
	said := strings.TrimSpace(string(out.Stdout))
	switch {
	case out.ExitCode != 0 && strings.Contains(said, "credentials not found"):
		return nil, nil
	case out.ExitCode != 0:
		return nil, fmt.Errorf("%s, which keeps the logins of %s, fails: %s", f.program(), f.path, strings.TrimSpace(said+" "+string(out.Stderr)))
	}
	var answer struct{ Username, Secret string }
	if err := json.Unmarshal(out.Stdout, &answer); err != nil {
		return nil, fmt.Errorf("%s doesn't answer as credential helpers do: no JSON", f.program())
	}
	return &credential{User: answer.Username, Password: answer.Secret}, nil
}

// hand plans that the helper is given a credential, or forgets one.
func (f loginFile) hand(v *host.View, registry string, want *credential, diff string) host.Change {
	does := host.Description{Action: host.Update, Target: "login at " + registry, Diff: diff, Impact: "kept by " + f.program()}
	// What a helper keeps it in, its own files or a service's, nobody can tell.
	leaves := []host.Effect{host.May(host.Files), host.Gone(f.key(registry))}
	input, verb := registry, "erase"
	if want != nil {
		leaves[1] = host.Is(f.key(registry), keptSum{want.User, want.digest(registry)})
		data, _ := json.Marshal(map[string]string{"ServerURL": registry, "Username": want.User, "Secret": want.Password})
		input, verb = string(data), "store"
	} else {
		does.Action = host.Delete
	}
	stdin := v.Keep([]byte(input), true)
	return &host.RunProgram{Argv: []string{f.program(), verb}, Stdin: &stdin, Does: does, Leaves: leaves}
}
