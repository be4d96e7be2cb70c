// Package logstash has the kinds that set up Logstash: its heap, settings and keystore, and
// its pipelines.
//
// Both kinds stage what Logstash is to read as a whole (stage.go), and have Logstash's own
// program test that before a file is touched. Then it restarts, or reloads its pipelines
// (load.go), and is asked through the node's API which pipelines run (node.go).
package logstash

import (
	"errors"
	"io/fs"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	undoes := []host.Change{&Load{}}
	return []modules.Kind{
		{Name: "logstash", Output: Output{}, Undoes: undoes, New: func() modules.Module { return &Server{} }},
		{Name: "logstash_pipeline", New: func() modules.Module { return &Pipeline{} }},
	}
}

// Logstash's programs, files and unit, as its packages have them.
const (
	program         = "/usr/share/logstash/bin/logstash"
	keystoreProgram = "/usr/share/logstash/bin/logstash-keystore"
	folder          = "/etc/logstash"
	settingsPath    = folder + "/logstash.yml"
	pipelinesPath   = folder + "/pipelines.yml"
	jvmPath         = folder + "/jvm.options"
	keystorePath    = folder + "/logstash.keystore"
	textsFolder     = folder + "/muster.d" // beside conf.d, whose files the packages' own pipeline reads, all of them
	unit            = "logstash.service"
	account         = "logstash"
	fileLimit       = 1 << 20
)

// envPaths are the files from which systemd gives Logstash its environment.
func envPaths() []string { return []string{"/etc/default/logstash", "/etc/sysconfig/logstash"} }

// What muster keeps on the host: what Logstash was seen to have loaded, and by which
// values the keystore was filled.
const (
	stateDir   = "/var/lib/muster/logstash"
	loadedPath = stateDir + "/loaded"
	filledPath = stateDir + "/keystore"
	noteLimit  = 1 << 20
)

var (
	nodeKey = host.Key{Space: "logstash", Name: "node"}
	keysKey = host.Key{Space: "logstash", Name: "keystore"}
)

// asked are what the answers of Logstash and its programs depend on.
var asked = []host.Key{{Space: host.Packages, Name: "logstash"}, {Space: host.Units, Name: unit}}

var (
	errNotRoot = errors.New(`only root may set up Logstash: give the task "become = true"`)
	errMissing = errors.New(`there is no Logstash on this host: install it in an earlier task, or with the role "logstash", which takes the repository that has it`)
)

func gone(err error) bool     { return errors.Is(err, fs.ErrNotExist) }
func isNotYet(err error) bool { return errors.Is(err, host.ErrNotYet) }

// keeps are the effects of noting something at a path.
func keeps(path string) []host.Effect {
	list := []host.Effect{host.Open(host.Files, path)}
	for _, dir := range []string{stateDir, "/var/lib/muster"} {
		list = append(list, host.Effect{Key: host.File(dir), State: host.Possible})
	}
	return list
}

// note writes one of muster's own files.
func note(path string, data []byte) error {
	d, err := host.MakeDirs(stateDir, 0o700)
	if err != nil {
		return err
	}
	d.Close()
	return host.Put(path, data, 0o600)
}
