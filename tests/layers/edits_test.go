package layers

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// editors are the files that may edit what stands at a path: host.Dir with its calls, and the
// private folder of a plan. All others of the remote's packages use these.
func editors() []string {
	return []string{"host/linux/calls_linux.go", "host/at.go", "host/atentry.go", "host/atremove.go", "host/scratch.go"}
}

// edits finds, by package, the functions that take a path and alter what stands
// there, or open it so that it can be altered.
var edits = map[string]*regexp.Regexp{
	"os": regexp.MustCompile(`^(Chmod|Chown|Chtimes|CopyFS|Create|CreateTemp|Lchown|Link|Mkdir|MkdirAll|MkdirTemp|OpenFile|OpenInRoot|OpenRoot|Remove|RemoveAll|Rename|Symlink|Truncate|WriteFile)$`),
	"unix": regexp.MustCompile(`^(Chmod|Chown|Creat|Fchmodat\d?|Fchownat|Futimesat|L?removexattr|L?setxattr|Lchown|Link|Linkat|Lremovexattr|Lsetxattr|Mkdir|Mkdirat|Mkfifo|Mkfifoat|Mknod|Mknodat|Mount|MountSetattr|MoveMount|Open|Openat|Openat2|Removexattr|Rename|Renameat\d?|Rmdir|Setxattr|Symlink|Symlinkat|Truncate|Unlink|Unlinkat|Unmount|Utimes?|UtimesNano(At)?|Lutimes|` +
		`(Raw)?Syscall6?|RawSyscallNoError|SyscallNoError)$`),
}

func TestOnlyOnePlaceEditsFiles(t *testing.T) {
	found := map[string]bool{}
	for _, p := range list(t, "-deps", "./cmd/muster-remote") {
		name, ours := strings.CutPrefix(p.ImportPath, "muster/")
		if !ours {
			continue
		}
		for _, file := range p.GoFiles {
			at := filepath.Join(name, file)
			for _, call := range editsIn(t, filepath.Join("../..", at)) {
				found[at] = true
				if !slices.Contains(editors(), at) {
					t.Errorf("%s: a path is edited by name, and a user may swap it for a link: use host.Dir", call)
				}
			}
		}
	}
	for _, at := range editors() {
		if !found[at] {
			t.Errorf("%s edits nothing by a name", at)
		}
	}
}

// editsIn lists a file's calls and mentions of such functions.
func editsIn(t *testing.T, path string) []string {
	t.Helper()
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, path, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	imported := map[string]string{} // the name in this file → the entry of edits
	for _, i := range f.Imports {
		path := strings.Trim(i.Path.Value, `"`)
		kind, ok := map[string]string{"os": "os", "syscall": "unix", "golang.org/x/sys/unix": "unix", "muster/host/linux": "unix"}[path]
		if !ok {
			continue
		}
		name := filepath.Base(path)
		if i.Name != nil {
			name = i.Name.Name
		}
		imported[name] = kind
	}
	reads := map[ast.Node]bool{} // os.OpenFile(path, os.O_RDONLY|…, 0)
	var calls []string
	ast.Inspect(f, func(n ast.Node) bool {
		if call, ok := n.(*ast.CallExpr); ok && len(call.Args) == 3 && readOnly(call.Args[1]) {
			reads[call.Fun] = true
		}
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		if x, ok := sel.X.(*ast.Ident); ok && edits[imported[x.Name]] != nil && edits[imported[x.Name]].MatchString(sel.Sel.Name) && !reads[sel] {
			calls = append(calls, fmt.Sprintf("%s: %s.%s", fset.Position(n.Pos()), x.Name, sel.Sel.Name))
		}
		return true
	})
	return calls
}

// readOnly reports whether flags to open a file with are constants none of
// which lets it be written to.
func readOnly(flags ast.Expr) bool {
	reads, writes := false, false
	ast.Inspect(flags, func(n ast.Node) bool {
		if sel, ok := n.(*ast.SelectorExpr); ok {
			switch sel.Sel.Name {
			case "O_RDONLY":
				reads = true
			case "O_NONBLOCK", "O_CLOEXEC", "O_NOFOLLOW", "O_DIRECTORY":
			default:
				writes = true
			}
		}
		return true
	})
	return reads && !writes
}
