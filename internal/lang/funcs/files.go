package funcs

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"path"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Project is the files that functions may read. Paths are as they are written;
// what they are relative to, and that they don't leave the project, is its
// business.
type Project struct {
	Read   func(path string) ([]byte, error)
	Exists func(path string) (bool, error)
	Glob   func(dir, pattern string) ([]string, error) // regular files, sorted, relative to dir
	// Template renders a template file with the attributes of vars.
	Template func(path string, vars cty.Value) (cty.Value, error)
}

// Files returns the functions that read the project's files.
func Files(p Project) []Func {
	sum := func(encode func(data []byte) string) function.Function {
		return onStrings(cty.String, []string{"path"}, func(a []string) (cty.Value, error) {
			data, err := p.Read(a[0])
			if err != nil {
				return cty.NilVal, function.NewArgErrorf(0, "%s", err)
			}
			return cty.StringVal(encode(data)), nil
		})
	}
	hexSum, b64 := hex.EncodeToString, base64.StdEncoding.EncodeToString
	return group("files", []Func{
		{Name: "basename", Usage: "path", Doc: "The last element of a path.", Function: onStrings(cty.String, []string{"path"}, func(a []string) (cty.Value, error) {
			return cty.StringVal(path.Base(a[0])), nil
		})},
		{Name: "dirname", Usage: "path", Doc: "A path without its last element.", Function: onStrings(cty.String, []string{"path"}, func(a []string) (cty.Value, error) {
			return cty.StringVal(path.Dir(a[0])), nil
		})},
		{Name: "file", Usage: "path", Doc: "The UTF-8 text of a file of the project.", Function: onStrings(cty.String, []string{"path"}, func(a []string) (cty.Value, error) {
			data, err := p.Read(a[0])
			if err != nil {
				return cty.NilVal, function.NewArgErrorf(0, "%s", err)
			}
			if !utf8.Valid(data) {
				return cty.NilVal, function.NewArgErrorf(0, "%s isn't UTF-8: use filebase64(), or a task's \"source\"", a[0])
			}
			return cty.StringVal(string(data)), nil
		})},
		{Name: "filebase64", Usage: "path", Doc: "A file's bytes in Base64.", Function: sum(b64)},
		{Name: "filebase64sha256", Usage: "path", Doc: "A file's SHA-256 sum in Base64.", Function: sum(func(d []byte) string { s := sha256.Sum256(d); return b64(s[:]) })},
		{Name: "filebase64sha512", Usage: "path", Doc: "A file's SHA-512 sum in Base64.", Function: sum(func(d []byte) string { s := sha512.Sum512(d); return b64(s[:]) })},
		{Name: "fileexists", Usage: "path", Doc: "Whether the project has a regular file there.", Function: onStrings(cty.Bool, []string{"path"}, func(a []string) (cty.Value, error) {
			ok, err := p.Exists(a[0])
			if err != nil {
				return cty.NilVal, function.NewArgErrorf(0, "%s", err)
			}
			return cty.BoolVal(ok), nil
		})},
		{Name: "filemd5", Usage: "path", Doc: "A file's MD5 sum in hexadecimal.", Function: sum(func(d []byte) string { s := md5.Sum(d); return hexSum(s[:]) })},
		{Name: "fileset", Usage: "folder, pattern", Doc: "The files of a folder that match a pattern such as \"**/*.conf\".", Function: onStrings(cty.Set(cty.String), []string{"folder", "pattern"}, func(a []string) (cty.Value, error) {
			names, err := p.Glob(a[0], a[1])
			if err != nil {
				return cty.NilVal, err
			}
			if len(names) == 0 {
				return cty.SetValEmpty(cty.String), nil
			}
			return cty.SetVal(stringList(names).AsValueSlice()), nil
		})},
		{Name: "filesha1", Usage: "path", Doc: "A file's SHA-1 sum in hexadecimal.", Function: sum(func(d []byte) string { s := sha1.Sum(d); return hexSum(s[:]) })},
		{Name: "filesha256", Usage: "path", Doc: "A file's SHA-256 sum in hexadecimal.", Function: sum(func(d []byte) string { s := sha256.Sum256(d); return hexSum(s[:]) })},
		{Name: "filesha512", Usage: "path", Doc: "A file's SHA-512 sum in hexadecimal.", Function: sum(func(d []byte) string { s := sha512.Sum512(d); return hexSum(s[:]) })},
		{Name: "templatefile", Usage: "path, vars", Doc: "A template of the project, rendered with vars.", Function: templateFile(p)},
	})
}

func templateFile(p Project) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{
			{Name: "path", Type: cty.String},
			{Name: "vars", Type: cty.DynamicPseudoType, AllowUnknown: true, AllowMarked: true, AllowDynamicType: true},
		},
		Type: func(args []cty.Value) (cty.Type, error) {
			if t := args[1].Type(); t != cty.DynamicPseudoType && !t.IsObjectType() && !t.IsMapType() {
				return cty.NilType, function.NewArgErrorf(1, "a map or object is needed")
			}
			return cty.String, nil
		},
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			if !args[1].IsKnown() {
				return cty.UnknownVal(cty.String), nil
			}
			return p.Template(args[0].AsString(), args[1])
		},
	})
}

// Fleet returns the functions that ask for hosts; match turns patterns into
// host names. partial: it doesn't know them all, so that the answer is unknown.
func Fleet(match func(patterns []string) ([]string, error), partial bool) []Func {
	return group("hosts", []Func{
		{Name: "matching", Usage: "patterns…", Doc: "The names of the hosts that patterns match, written as a play's hosts.", Function: function.New(&function.Spec{
			VarParam: &function.Parameter{Name: "patterns", Type: cty.String},
			Type:     function.StaticReturnType(cty.List(cty.String)),
			Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
				var patterns []string
				for _, a := range args {
					patterns = append(patterns, a.AsString())
				}
				names, err := match(patterns)
				if err != nil {
					return cty.NilVal, fmt.Errorf("%w", err)
				}
				if partial {
					return cty.UnknownVal(cty.List(cty.String)), nil
				}
				return stringList(names), nil
			},
			RefineResult: notNull,
		})},
	})
}
