package mysql

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"muster/host"
)

// What a server runs with is asked of it. It says so in units of its own, and rounds some
// values (a buffer pool to its chunks): so what it had made of a value when it was last
// loaded is noted, and counts as that value for as long as it has it.

// serverKey is the key of what the server runs with.
var serverKey = host.Key{Space: "mysql_server", Name: "settings"}

// roleKey is the key of what servers that replicate are to each other: their numbers, logs,
// GTIDs, certificates.
var roleKey = host.Key{Space: "mysql_server", Name: "replication"}

const (
	serverNotePath = stateDir + "/server"
	serverGoodPath = stateDir + "/good.cnf" // muster's file as the server last ran with it
)

// running is the server, as far as its settings go.
type running struct {
	Running bool `json:"running"`
	// Marks are of the options that it has loaded, as pending changes leave it.
	Marks map[string]string `json:"marks,omitempty"`
	// TLS is the mark of the certificates that it has loaded.
	TLS string `json:"tls,omitempty"`

	vars   map[string]string // its variables; nil in a preview, and where it doesn't run
	note   serverNote
	served []byte // the certificate that it shows
	about  about
}

// serverNote is what muster has noted when the server was last loaded.
type serverNote struct {
	Options map[string]notedOption `json:"options,omitempty"`
	TLS     string                 `json:"tls,omitempty"`
}

// notedOption is an option, by its mark, and what the server made of it.
type notedOption struct {
	Mark string `json:"mark"`
	Has  string `json:"has"`
}

// markOf is the sum of a value: files may hold what isn't to be shown.
func markOf(value string) string {
	sum := sha256.Sum256([]byte(value))
	return hex.EncodeToString(sum[:12])
}

func marksOf(options map[string]string) map[string]string {
	marks := map[string]string{}
	for name, value := range options {
		marks[name] = markOf(value)
	}
	return marks
}

func readServerNote() (n serverNote) {
	data, err := os.ReadFile(serverNotePath)
	if err != nil || host.Unmarshal(data, &n) != nil {
		return serverNote{}
	}
	return n
}

// writeServerNote notes what the server has loaded, and keeps the file that it has it from.
func writeServerNote(n serverNote, text []byte) error {
	d, err := host.MakeDirs(stateDir, 0o700)
	if err != nil {
		return err
	}
	d.Close()
	data, err := host.Marshal(n)
	if err == nil {
		err = host.Put(serverGoodPath, text, 0o600)
	}
	if err == nil {
		err = host.Put(serverNotePath, data, 0o600)
	}
	if err != nil {
		return fmt.Errorf("noting what the server has loaded: %w", err)
	}
	return nil
}

// serverNoteEffects is that something is noted of the server.
func serverNoteEffects() (list []host.Effect) {
	for _, path := range []string{serverNotePath, serverGoodPath} {
		list = append(list, host.Open(host.Files, path))
	}
	for _, dir := range []string{stateDir, filepath.Dir(stateDir)} {
		list = append(list, host.Effect{Key: host.File(dir), State: host.Possible})
	}
	return list
}

// runningNow is the server as pending changes will leave it.
func (p *serverPlanner) runningNow(ctx context.Context) (*running, error) {
	if err := settled(p.v); err != nil {
		return nil, err
	}
	return host.Read(p.v, serverKey, func() (*running, error) {
		r := &running{note: readServerNote()}
		s, err := connect(ctx, viewDialer(p.v))
		if err != nil && nobodyListens(err) {
			var moved bool
			if moved, err = p.stopped(ctx); err != nil || !moved {
				return r, err
			}
			s, err = connect(ctx, viewDialer(p.v))
		}
		if err != nil {
			return nil, unanswered(err)
		}
		defer s.Close()
		r.Running, r.about = true, s.about
		if r.vars, err = s.globals(ctx); err != nil {
			return nil, unanswered(err)
		}
		if p.TLS != nil {
			r.served, err = served(ctx, viewDialer(p.v))
		}
		return r, err
	})
}

// movingTime is how long a server is waited for while planning that is starting or stopping: one
// that has just been cloned stops and starts.
const movingTime = 30 * time.Second

// stopped returns an error where a server that doesn't answer is about to, or can't be asked. One
// that is starting or stopping is waited for; moved is that it runs then.
func (p *serverPlanner) stopped(ctx context.Context) (moved bool, err error) {
	state := ""
	waiting, stop := context.WithTimeout(ctx, movingTime)
	defer stop()
	err = until(waiting, pollTime, func() (bool, error) {
		out, err := p.v.Query(waiting, host.Command{Argv: []string{"systemctl", "show", "--property=ActiveState", "--", p.unit}}, serverKeys...)
		if err != nil {
			return false, err
		}
		state = strings.TrimPrefix(strings.TrimSpace(string(out.Stdout)), "ActiveState=")
		switch state {
		case "activating", "deactivating", "reloading":
			moved = true
			return false, nil
		}
		return true, nil
	})
	switch {
	case err != nil && ctx.Err() == nil && waiting.Err() != nil:
		return false, fmt.Errorf("%s is still %s, and can't be asked: run muster again when it has done", p.unit, state)
	case err != nil:
		return false, err
	case state == "active" && !moved:
		return false, fmt.Errorf("%s runs, and nobody listens on %s, where muster asks it: leave the variable socket as the packages have it", p.unit, sockets[0])
	}
	return moved && state == "active", nil
}

func nobodyListens(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED)
}

// globals are all global variables.
func (s *server) globals(ctx context.Context) (map[string]string, error) {
	rows, err := s.rows(ctx, "SHOW GLOBAL VARIABLES")
	if err != nil {
		return nil, err
	}
	all := map[string]string{}
	for _, r := range rows {
		all[strings.ToLower(r[0])] = r[1]
	}
	return all, nil
}

// served is the certificate that the server shows; nil where it takes no TLS.
func served(ctx context.Context, dial dialer) ([]byte, error) {
	var leaf []byte
	db, err := open(ctx, dial, login{user: "root", tls: true, shown: func(der []byte) { leaf = bytes.Clone(der) }})
	if err == nil {
		db.Close()
	}
	if leaf != nil || err == nil {
		return leaf, nil
	}
	if nobodyListens(err) || errors.Is(err, context.Canceled) {
		return nil, err
	}
	return nil, nil
}

// runsWith reports whether a server's variables are what an option's value makes of them;
// false as well where that can't be told without more.
func runsWith(vars map[string]string, name, value string) (agrees, known bool) {
	name = strings.TrimPrefix(name, "loose_")
	has, known := vars[name]
	if name == "log_bin" && known {
		return on(has) && logPath(vars, value) == logPath(vars, vars["log_bin_basename"]), true
	}
	return known && alike(value, has), known
}

// logPath is the base name of binary logs with its folder, without what would be an ending.
func logPath(vars map[string]string, path string) string {
	if !filepath.IsAbs(path) {
		path = filepath.Join(vars["datadir"], path)
	}
	return strings.TrimSuffix(path, filepath.Ext(path))
}

func on(text string) bool {
	return slices.Contains([]string{"ON", "1", "TRUE", "YES"}, strings.ToUpper(text))
}
func off(text string) bool {
	return slices.Contains([]string{"OFF", "0", "FALSE", "NO"}, strings.ToUpper(text))
}

// alike reports whether two texts are one value to a server.
func alike(a, b string) bool {
	if strings.EqualFold(a, b) || on(a) && on(b) || off(a) && off(b) {
		return true
	}
	if x, ok := number(a); ok {
		y, ok := number(b)
		return ok && x == y
	}
	if strings.HasPrefix(a, "/") && strings.HasPrefix(b, "/") {
		return filepath.Clean(a) == filepath.Clean(b)
	}
	if strings.Contains(a, ",") || strings.Contains(b, ",") { // sets, such as sql_mode
		x, y := strings.Split(strings.ToUpper(a), ","), strings.Split(strings.ToUpper(b), ",")
		for _, list := range [][]string{x, y} {
			for i := range list {
				list[i] = strings.TrimSpace(list[i])
			}
			slices.Sort(list)
		}
		return slices.Equal(x, y)
	}
	return false
}

// number reads a number with a suffix, as servers do: powers of 1024.
func number(text string) (float64, bool) {
	if text == "" {
		return 0, false
	}
	factor := 1.0
	if at := strings.Index("KMGTPE", strings.ToUpper(text[len(text)-1:])); at >= 0 && len(text) > 1 {
		for range at + 1 {
			factor *= 1024
		}
		text = text[:len(text)-1]
	}
	n, err := strconv.ParseFloat(text, 64)
	return n * factor, err == nil
}

// fixed tells which of these variables can't be set in the running server.
func (s *server) fixed(ctx context.Context, names []string) (map[string]bool, error) {
	all := map[string]bool{}
	if s.flavor == mariadb {
		var list []string
		for _, n := range names {
			list = append(list, literal(n))
		}
		rows, err := s.rows(ctx, "SELECT LOWER(VARIABLE_NAME) FROM information_schema.SYSTEM_VARIABLES WHERE READ_ONLY = 'NO' AND VARIABLE_SCOPE <> 'SESSION ONLY' AND LOWER(VARIABLE_NAME) IN ("+strings.Join(append(list, "''"), ", ")+")")
		if err != nil {
			return nil, err
		}
		for _, n := range names {
			all[n] = !slices.ContainsFunc(rows, func(r []string) bool { return r[0] == n })
		}
		return all, nil
	}
	for _, n := range names {
		// A statement whose last value is wrong sets nothing at all, and tells before that
		// which variable can't be set (sql/set_var.cc, sql_set_variables).
		err := s.do(ctx, "SET GLOBAL "+variable(n)+" = DEFAULT, GLOBAL max_connections = 'no number'")
		if err == nil {
			return nil, errors.New("the server takes a number that is none")
		}
		all[n] = !isError(err, errWrongType)
	}
	return all, nil
}

// setGlobal sets a variable in the running server.
func (s *server) setGlobal(ctx context.Context, name, value string) error {
	if _, numeric := number(value); numeric {
		n, _ := number(value)
		value = strconv.FormatFloat(n, 'f', -1, 64)
	} else if on(value) {
		value = "ON"
	} else if off(value) {
		value = "OFF"
	} else {
		value = literal(value)
	}
	if err := s.do(ctx, "SET GLOBAL "+variable(name)+" = "+value); err != nil {
		return fmt.Errorf("setting %s: %w", name, err)
	}
	return nil
}

// origin says where the server has a variable from: the path of a file, or a word such as
// COMMAND-LINE; "" where it doesn't tell.
func (s *server) origin(ctx context.Context, name string) string {
	query := "SELECT VARIABLE_PATH, VARIABLE_SOURCE FROM performance_schema.variables_info WHERE VARIABLE_NAME = " + literal(name)
	if s.flavor == mariadb {
		query = "SELECT GLOBAL_VALUE_PATH, GLOBAL_VALUE_ORIGIN FROM information_schema.SYSTEM_VARIABLES WHERE VARIABLE_NAME = " + literal(name)
	}
	rows, err := s.rows(ctx, query)
	if err != nil || len(rows) != 1 {
		return ""
	}
	if rows[0][0] != "" {
		return rows[0][0]
	}
	return rows[0][1]
}

func sortedNames[T any](m map[string]T) []string { return slices.Sorted(maps.Keys(m)) }

// variable quotes the name of a variable: those of components have a point in it.
func variable(name string) string {
	parts := strings.Split(name, ".")
	for i := range parts {
		parts[i] = ident(parts[i])
	}
	return strings.Join(parts, ".")
}
