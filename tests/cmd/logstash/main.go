// Command logstash stands in for Logstash in the tests of its kinds, which can't be had there.
//
// It takes the switches of bin/logstash and bin/logstash-keystore that muster uses, reads the
// same files, ends with the same codes, and answers as the node's API does, as Logstash's
// source and manual have it: logstash-core/lib/logstash/runner.rb, agent.rb,
// pipeline_action/*.rb, api/commands/*.rb and SecretStoreCli.java of Logstash 9. Its
// pipelines listen where their inputs say, and move no events. It has few plugins, no JVM,
// and a keystore of its own format.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// version is what it says that it is.
const version = "9.1.0"

func main() {
	if filepath.Base(os.Args[0]) == "logstash-keystore" {
		os.Exit(keystoreCommand(os.Args[1:]))
	}
	os.Exit(run(os.Args[1:]))
}

// run is bin/logstash.
func run(args []string) int {
	given := map[string]string{}
	for i := 0; i < len(args); i++ {
		switch name := strings.TrimPrefix(args[i], "--"); name {
		case "version", "V":
			fmt.Println("logstash " + version)
			return 0
		case "config.test_and_exit":
			given[name] = "true"
		case "path.settings", "path.data", "path.logs":
			if i++; i == len(args) {
				fmt.Fprintf(os.Stderr, "ERROR: option '--%s': no value provided\n", name)
				return 1
			}
			given[name] = args[i]
		default:
			fmt.Fprintf(os.Stderr, "ERROR: Unrecognised option '%s'\n", args[i])
			return 1
		}
	}
	folder := given["path.settings"]
	if folder == "" {
		folder = "/usr/share/logstash/config"
	}
	env := &variables{keystore: filepath.Join(folder, "logstash.keystore")}
	s, err := readSettings(filepath.Join(folder, "logstash.yml"), env)
	if err != nil {
		logged("FATAL", "logstash.runner", fmt.Sprintf("An unexpected error occurred! {:error=>#<ArgumentError: %s>}", err))
		fmt.Fprintf(os.Stderr, "ERROR: Failed to load settings file from \"path.settings\". Aborting... path.setting=%s, exception=ArgumentError, message=>%s\n", folder, err)
		return 1
	}
	for name, value := range given {
		s[name] = value
	}
	s["path.settings"] = folder
	if os.Geteuid() == 0 && s["allow_superuser"] != "true" {
		logged("FATAL", "logstash.runner", "An unexpected error occurred! {:error=>#<RuntimeError: Logstash cannot be run as superuser.>}")
		return 1
	}
	for _, name := range []string{"path.data", "path.logs"} {
		if err := writable(s[name]); err != nil {
			fmt.Fprintf(os.Stderr, "ERROR: The given setting is invalid: Path %q must be a writable directory. It is not writable. (%s)\n", s[name], err)
			return 1
		}
	}
	if s["config.test_and_exit"] == "true" {
		configs, err := fetch(s, env)
		for _, c := range configs {
			if err == nil {
				_, err = build(c, env)
			}
		}
		if err != nil {
			logged("FATAL", "logstash.runner", "The given configuration is invalid. Reason: "+err.Error())
			return 1
		}
		fmt.Println("Configuration OK")
		logged("INFO", "logstash.runner", "Using config.test_and_exit mode. Config Validation Result: OK. Exiting Logstash")
		return 0
	}
	return serve(s, env)
}

func logged(level, who, text string) {
	fmt.Printf("[%s][%-5s][%-25s] %s\n", time.Now().Format("2006-01-02T15:04:05,000"), level, who, text)
}

// writable returns an error where a folder can't be made or written to.
func writable(dir string) error {
	if dir == "" {
		return nil
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, ".writable")
	if err != nil {
		return err
	}
	f.Close()
	return os.Remove(f.Name())
}
