package main

//lint:file-ignore ST1005 these texts are Logstash's own

import (
	"bufio"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// keystore is what its file holds, of a format of its own.
type keystore struct {
	Pad    []byte            `json:"pad"`
	Pass   string            `json:"pass"`
	Values map[string]string `json:"values"`
}

func (k *keystore) padded(value []byte) []byte {
	out := make([]byte, len(value))
	for i := range value {
		out[i] = value[i] ^ k.Pad[i%len(k.Pad)]
	}
	return out
}

func openKeystore(path string) (*keystore, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	k := &keystore{}
	if err := json.Unmarshal(data, k); err != nil || len(k.Pad) == 0 {
		return nil, errors.New("Found a file at " + path + ", but it is not a valid Logstash keystore.") //nolint:staticcheck // Logstash's words
	}
	if k.Pass != os.Getenv("LOGSTASH_KEYSTORE_PASS") {
		return nil, fmt.Errorf("Can not access Logstash keystore at %s. Please verify correct file permissions and keystore password.", path) //nolint:staticcheck // Logstash's words
	}
	return k, nil
}

func readKeystore(path string) (map[string]string, error) {
	k, err := openKeystore(path)
	if err != nil {
		return nil, err
	}
	values := map[string]string{}
	for name, text := range k.Values {
		data, err := base64.StdEncoding.DecodeString(text)
		if err != nil {
			return nil, err
		}
		values[name] = string(k.padded(data))
	}
	return values, nil
}

func (k *keystore) save(path string) error {
	data, err := json.Marshal(k)
	if err != nil {
		return err
	}
	return os.WriteFile(path, data, 0o660)
}

// terminal reads as java.util.Scanner does: next is a word, and leaves the end of its line,
// which nextLine then takes for an empty one.
type terminal struct{ r *bufio.Reader }

func (t *terminal) next() string {
	word := ""
	for {
		b, err := t.r.ReadByte()
		if err != nil {
			return word
		}
		if strings.ContainsRune(" \t\r\n", rune(b)) {
			if word == "" {
				continue
			}
			_ = t.r.UnreadByte()
			return word
		}
		word += string(b)
	}
}

func (t *terminal) nextLine() (string, error) {
	line, err := t.r.ReadString('\n')
	if err != nil && line == "" {
		return "", errors.New("No line found") //nolint:staticcheck // java.util.NoSuchElementException's words
	}
	return strings.TrimRight(line, "\r\n"), nil
}

// keystoreCommand is bin/logstash-keystore. Many mistakes are told, and end with 0.
func keystoreCommand(args []string) int {
	folder := "/usr/share/logstash/config"
	if i := slices.Index(args, "--path.settings"); i >= 0 && i+1 < len(args) {
		folder = args[i+1]
		args = slices.Delete(args, i, i+2)
	}
	if _, err := readSettings(filepath.Join(folder, "logstash.yml"), &variables{}); err != nil {
		fmt.Fprintln(os.Stderr, "ERROR:", err)
		return 1
	}
	fmt.Println()
	if err := keystoreDo(filepath.Join(folder, "logstash.keystore"), args, &terminal{bufio.NewReader(os.Stdin)}); err != nil {
		fmt.Fprintf(os.Stderr, "[ERROR][logstash.secretstorecli  ] %s\n", err)
		return 1
	}
	return 0
}

func keystoreDo(path string, args []string, t *terminal) error {
	command := ""
	if len(args) > 0 {
		command, args = args[0], args[1:]
	}
	var names []string
	for _, a := range args {
		if strings.HasPrefix(a, "--") {
			if a != "--help" && (a != "--stdin" || command != "add") {
				fmt.Printf("ERROR: Unrecognized option '%s' for command '%s'\n", a, command)
				return nil
			}
			break
		}
		names = append(names, a)
	}
	_, err := os.Stat(path)
	exists := err == nil
	switch command {
	case "create":
		if exists {
			fmt.Print("An Logstash keystore already exists. Overwrite ? [y/N] ")
			if t.next() != "y" {
				return nil
			}
		}
		if os.Getenv("LOGSTASH_KEYSTORE_PASS") == "" {
			fmt.Print("WARNING: The keystore password is not set. Please set the environment variable `LOGSTASH_KEYSTORE_PASS`. Failure to do so will result in reduced security. Continue without password protection on the keystore? [y/N] ")
			if t.next() != "y" {
				return nil
			}
		}
		k := &keystore{Pad: make([]byte, 64), Pass: os.Getenv("LOGSTASH_KEYSTORE_PASS"), Values: map[string]string{}}
		_, _ = io.ReadFull(rand.Reader, k.Pad)
		fmt.Println("Created Logstash keystore at " + path)
		return k.save(path)
	case "list":
		k, err := openKeystore(path)
		if err != nil {
			return err
		}
		var all []string
		for name := range k.Values {
			all = append(all, name)
		}
		slices.Sort(all)
		for _, name := range all {
			fmt.Println(name)
		}
	case "add":
		return addKeys(path, exists, names, t)
	case "remove":
		k, err := openKeystore(path)
		if err != nil {
			return err
		}
		for _, name := range names {
			if _, ok := k.Values[strings.ToLower(name)]; !ok {
				fmt.Printf("ERROR: '%s' does not exist in the Logstash keystore.\n", name)
				continue
			}
			delete(k.Values, strings.ToLower(name))
			fmt.Printf("Removed '%s' from the Logstash keystore.\n", strings.ToLower(name))
		}
		return k.save(path)
	default:
		fmt.Println("Usage:\n--------\nbin/logstash-keystore [option] command [argument]")
	}
	return nil
}

func addKeys(path string, exists bool, names []string, t *terminal) error {
	if len(names) == 0 {
		fmt.Println("ERROR: You must supply an identifier to add. (e.g. bin/logstash-keystore add my-secret)")
		return nil
	}
	if !exists {
		fmt.Println("ERROR: Logstash keystore not found. Use 'create' command to create one.")
		return nil
	}
	k, err := openKeystore(path)
	if err != nil {
		return err
	}
	for _, name := range names {
		if !regexp.MustCompile(`^[a-zA-Z_.][a-zA-Z0-9_.]*$`).MatchString(name) {
			return fmt.Errorf("Invalid secret key name `%s` provided.", name) //nolint:staticcheck // Logstash's words
		}
		key := strings.ToLower(name)
		if _, ok := k.Values[key]; ok {
			fmt.Printf("%s already exists. Overwrite ? [y/N] ", name)
			if t.next() != "y" {
				continue
			}
		}
		value := ""
		for value == "" {
			fmt.Printf("Enter value for %s: ", name)
			if value, err = t.nextLine(); err != nil {
				return err
			}
			if value == "" {
				fmt.Println("ERROR: Value cannot be empty")
			} else if strings.ContainsFunc(value, func(r rune) bool { return r > 127 }) {
				fmt.Println("ERROR: Value must contain only ASCII characters")
				value = ""
			}
		}
		k.Values[key] = base64.StdEncoding.EncodeToString(k.padded([]byte(value)))
		fmt.Printf("Added '%s' to the Logstash keystore.\n", key)
	}
	return k.save(path)
}
