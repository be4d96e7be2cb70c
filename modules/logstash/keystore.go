package logstash

import (
	"context"
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"muster/host"
)

// Logstash's keystore tells its names and never its values. So muster notes by which values
// it has filled it: not the values, but what is derived from them, with a salt. Where the
// keystore isn't the file that was filled, its values aren't known, and are set anew.

// How long Logstash's programs may take: each starts a JVM.
const (
	testTime     = 5 * time.Minute
	keystoreTime = 2 * time.Minute
	derivations  = 20000
)

// keyring is the keystore as pending changes will leave it: what its values are is told by
// marks that tell only whether two are alike.
type keyring struct {
	Keys map[string]string `json:"keys"`
}

// filling is what muster notes of a keystore.
type filling struct {
	File  string            `json:"file"` // its sum
	Salt  string            `json:"salt"`
	Keys  map[string]string `json:"keys"`  // what is derived from the values
	Names []string          `json:"names"` // all that it holds, others' too
}

// derived is what is noted of a value.
func (f *filling) derived(value string) (string, error) {
	salt, err := hex.DecodeString(f.Salt)
	if err != nil {
		return "", err
	}
	key, err := pbkdf2.Key(sha256.New, value, salt, derivations, sha256.Size)
	return hex.EncodeToString(key), err
}

// readFilling reads what is noted of the keystore that stands there; an empty one where that
// is another file.
func readFilling(ctx context.Context, v *host.View) (f filling, sum string, err error) {
	info, err := v.Stat(keystorePath)
	if err != nil {
		return f, "", err
	}
	if info.Exists() {
		if sum, err = v.Sum(keystorePath); err != nil {
			return f, "", err
		}
	}
	data, err := v.ReadFile(ctx, filledPath, noteLimit)
	if err != nil && !gone(err) {
		return f, "", err
	}
	if err != nil || json.Unmarshal(data, &f) != nil || f.File != sum || sum == "" {
		return filling{}, sum, nil
	}
	return f, sum, nil
}

var keyLine = regexp.MustCompile(`^[a-z0-9_.-]+$`)

// keysIn are the names that a keystore's program lists.
func keysIn(said string) (list []string) {
	for line := range strings.Lines(said) {
		if line = strings.TrimSpace(line); keyLine.MatchString(line) {
			list = append(list, line)
		}
	}
	return list
}

// keyNames are the names that the keystore holds, in small letters: it takes no others.
func keyNames(ctx context.Context, v *host.View, env map[string]string) ([]string, error) {
	pending, err := pendingKeys(v)
	if err != nil || pending != nil {
		return slices.Sorted(maps.Keys(pending)), err
	}
	f, sum, err := readFilling(ctx, v)
	if err != nil || sum == "" || f.File != "" {
		return f.Names, err
	}
	return host.Once(v, "logstash keystore "+sum, func() ([]string, error) {
		s, err := v.Scratch()
		if err != nil {
			return nil, err
		}
		defer s.Remove()
		if err := stageKeystore(ctx, v, s); err != nil {
			return nil, err
		}
		if _, err := s.Write("settings/logstash.yml", nil, 0o600); err != nil {
			return nil, err
		}
		ctx, stop := context.WithTimeout(ctx, keystoreTime)
		defer stop()
		out, err := v.Query(ctx, keystoreCommand(s, env, "", "list"), asked[0], host.File(keystoreProgram))
		if err != nil {
			return nil, err
		}
		if out.ExitCode != 0 {
			return nil, locked(strings.ReplaceAll(string(out.Stdout)+string(out.Stderr), filepath.Join(s.Path(), "settings"), folder))
		}
		return keysIn(string(out.Stdout)), nil
	})
}

// locked says why a keystore can't be read.
func locked(said string) error {
	return fmt.Errorf("reading the keystore %s: %s; where it has a password, that has to stand in %s as LOGSTASH_KEYSTORE_PASS", keystorePath, complaint(said, true), envPaths()[0])
}

// stageKeystore puts a copy of the keystore as it is into a private folder, if there is one.
func stageKeystore(ctx context.Context, v *host.View, s *host.Scratch) error {
	data, err := v.With(nil).ReadFile(ctx, keystorePath, fileLimit)
	if gone(err) {
		return nil
	}
	if err == nil {
		_, err = s.Write("settings/logstash.keystore", data, 0o600)
	}
	return err
}

// keystoreCommand is a call of the keystore's program on a copy of it. Values are told on its
// standard input alone.
func keystoreCommand(s *host.Scratch, env map[string]string, input string, args ...string) host.Command {
	return host.Command{Argv: append([]string{keystoreProgram, "--path.settings", filepath.Join(s.Path(), "settings")}, args...), Stdin: strings.NewReader(input), Env: pairs(env)}
}
