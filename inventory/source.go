package inventory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Source is a type of source: the word after source in a block
//
//	source "ec2" "prod" { … }
//
// Every source block takes user, port, identity, via and connection too, for
// those of its hosts of which neither the source nor a group says better.
type Source interface {
	// Arguments lists what else its blocks take.
	Arguments() []Argument
	// Remote reports whether it can be down, or slow. If so, its blocks take
	// cache and timeout, and what it listed last stands in where it fails.
	Remote() bool
	// Open checks the arguments of a block without asking anyone. An error
	// about one of them is an *ArgumentError.
	Open(b Block) (Lister, error)
}

// Lister is an opened source.
type Lister interface {
	// List asks for the hosts. Errors at a place in a file are *FileError;
	// several are joined. It may be called while other sources are.
	List(ctx context.Context) (*Listing, error)
}

// Keyed is a Lister whose answer depends on more than its block says, such as
// the account that the environment names: what one key listed isn't kept for
// another.
type Keyed interface{ Key() string }

// Argument is one that a source block takes.
type Argument struct {
	Name     string
	Type     cty.Type // values are converted to it; unknown and null never reach Open
	Required bool
}

// Block is a source block whose arguments have the types that were asked for.
type Block struct {
	Type, Name string
	File       string               // that the block stands in: paths are relative to its folder
	Args       map[string]cty.Value // those that were given
}

// Text returns an argument that is text, or "".
func (b Block) Text(name string) string {
	if v, ok := b.Args[name]; ok {
		return v.AsString()
	}
	return ""
}

// Texts returns an argument that is a list of text.
func (b Block) Texts(name string) []string {
	v, ok := b.Args[name]
	if !ok {
		return nil
	}
	texts := make([]string, 0, v.LengthInt())
	for _, e := range v.AsValueSlice() {
		texts = append(texts, e.AsString())
	}
	return texts
}

// Path returns an argument that is a path, "~" and the block's folder resolved.
func (b Block) Path(name string) (string, error) {
	home, err := os.UserHomeDir()
	if path := b.Text(name); err == nil || path == "" || path[0] != '~' {
		return beside(b.File, path, home), nil
	}
	return "", &ArgumentError{name, fmt.Errorf("the home folder is unknown: %w", err)}
}

// ArgumentError says what is wrong with an argument of a source block.
type ArgumentError struct {
	Name string
	Err  error
}

func (e *ArgumentError) Error() string { return e.Name + ": " + e.Err.Error() }
func (e *ArgumentError) Unwrap() error { return e.Err }

// FileError is a problem at a place in a file that a source reads.
type FileError struct {
	At  hcl.Range
	Err error
}

func (e *FileError) Error() string { return position(e.At) + ": " + e.Err.Error() }
func (e *FileError) Unwrap() error { return e.Err }

// Listing is what a source knows. Names and settings are checked by the
// inventory, and merged with what its files and other sources say.
type Listing struct {
	Hosts    []Entry
	Bastions []Entry
	Groups   []GroupEntry
	Warnings []FileError
}

// Entry is a host or a bastion. An At that is zero is the source block's.
type Entry struct {
	Name     string
	Settings []Value // address, user, via, port, identity, connection
	Vars     []Value // objects and tuples, not maps and lists
	At       hcl.Range
}

// GroupEntry is a group; it may be "all", with variables and settings only.
type GroupEntry struct {
	Name     string
	Hosts    []string
	Children []string
	Settings []Value
	Vars     []Value
	At       hcl.Range
}

// Value is a setting or a variable with the place it is from.
type Value struct {
	Name  string
	Value cty.Value
	At    hcl.Range
}

// registry returns the types of sources there are.
func (o Options) registry() map[string]Source {
	m := map[string]Source{
		"program":    programSource{},
		"ansible":    ansibleSource{},
		"ssh_config": sshConfigSource{},
	}
	for name, s := range o.Sources {
		m[name] = s
	}
	return m
}

// sourceNode declares a source.
type sourceNode struct {
	scope
	block   Block
	at      hcl.Range
	args    map[string]hcl.Range
	remote  bool
	fresh   time.Duration // how long a listing is used without asking
	timeout time.Duration
	lister  Lister
}

// unjoin takes joined errors apart.
func unjoin(err error) []error {
	if err == nil {
		return nil
	}
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		var all []error
		for _, e := range many.Unwrap() {
			all = append(all, unjoin(e)...)
		}
		return all
	}
	return []error{err}
}

// argument returns the place in the block that err is about, and what is
// wrong there.
func (s *sourceNode) argument(err error) (hcl.Range, error) {
	var bad *ArgumentError
	if errors.As(err, &bad) {
		if at, ok := s.args[bad.Name]; ok {
			return at, bad.Err
		}
	}
	return s.at, err
}
