// Package funcs is the functions that expressions can call.
//
// They are the ones Terraform users know, with the same names and meaning.
// Most come from libraries; what those lack is written here. A function whose
// result differs from one call to the next would make a plan lie and is left
// out: Excluded says so for each.
package funcs

import (
	"sort"

	"github.com/hashicorp/go-cty-funcs/cidr"
	"github.com/hashicorp/go-cty-funcs/crypto"
	"github.com/hashicorp/go-cty-funcs/encoding"
	"github.com/hashicorp/go-cty-funcs/uuid"
	"github.com/hashicorp/hcl/v2/ext/tryfunc"
	yaml "github.com/zclconf/go-cty-yaml"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	"github.com/zclconf/go-cty/cty/function/stdlib"
)

// Func is one function.
type Func struct {
	Name     string
	Group    string // "strings", "collections", …
	Usage    string // its arguments: "list, separator"
	Doc      string // one sentence
	Function function.Function
}

// Pure returns the functions whose result comes from their arguments alone,
// by group and name.
func Pure() []Func {
	var all []Func
	for _, group := range [][]Func{numbers(), texts(), collections(), sets(), encodings(), dates(), hashes(), keys(), networks(), types()} {
		all = append(all, group...)
	}
	return all
}

// Map returns functions by name.
func Map(list []Func) map[string]function.Function {
	m := make(map[string]function.Function, len(list))
	for _, f := range list {
		m[f.Name] = f.Function
	}
	return m
}

// Names returns the names of every function there is, sorted.
func Names() []string {
	var names []string
	for _, f := range append(append(Pure(), Files(Project{})...), Fleet(nil, false)...) {
		names = append(names, f.Name)
	}
	sort.Strings(names)
	return names
}

// Excluded returns, by name, why functions that Terraform has are left out and
// what to write instead.
func Excluded() map[string]string {
	clock := "a plan must show what apply does, and the clock would be another. Pass the time as a variable."
	chance := "a plan must show what apply does, and its result differs from call to call. "
	return map[string]string{
		"timestamp":      clock,
		"plantimestamp":  clock,
		"uuid":           chance + "uuidv5(namespace, name) gives a stable one.",
		"bcrypt":         chance + "Keep the hash in the secret store or in a variable.",
		"templatestring": "a string from a host would be read as a template. Use templatefile(), or a \"template\" task.",
		"pathexpand":     "the result depends on who runs muster. Pass the path as a variable.",
		"abspath":        "the result depends on where the project lies. Paths are relative to the file they stand in.",
		"type":           "it is for a console. Give the variable a type instead.",
		"list":           "write [a, b] or tolist([a, b]).",
		"map":            "write { a = b } or tomap({ a = b }).",
	}
}

func numbers() []Func {
	return group("numbers", []Func{
		{Name: "abs", Usage: "number", Doc: "The number without its sign.", Function: stdlib.AbsoluteFunc},
		{Name: "ceil", Usage: "number", Doc: "The next whole number above.", Function: stdlib.CeilFunc},
		{Name: "floor", Usage: "number", Doc: "The next whole number below.", Function: stdlib.FloorFunc},
		{Name: "log", Usage: "number, base", Doc: "The logarithm to a base.", Function: stdlib.LogFunc},
		{Name: "max", Usage: "numbers…", Doc: "The greatest of the numbers.", Function: stdlib.MaxFunc},
		{Name: "min", Usage: "numbers…", Doc: "The least of the numbers.", Function: stdlib.MinFunc},
		{Name: "parseint", Usage: "text, base", Doc: "The whole number that a text writes in a base of 2 to 62.", Function: stdlib.ParseIntFunc},
		{Name: "pow", Usage: "number, power", Doc: "The number to a power.", Function: stdlib.PowFunc},
		{Name: "signum", Usage: "number", Doc: "-1, 0 or 1 for the number's sign.", Function: stdlib.SignumFunc},
		{Name: "sum", Usage: "numbers", Doc: "The sum of a list or set of numbers.", Function: sum},
	})
}

func texts() []Func {
	return group("strings", []Func{
		{Name: "chomp", Usage: "text", Doc: "The text without newlines at its end.", Function: stdlib.ChompFunc},
		{Name: "endswith", Usage: "text, suffix", Doc: "Whether the text ends with the suffix.", Function: endsWith},
		{Name: "format", Usage: "format, values…", Doc: "A text made of values by %s, %d, %q and the like.", Function: stdlib.FormatFunc},
		{Name: "formatlist", Usage: "format, lists…", Doc: "As format, for each element of the lists.", Function: stdlib.FormatListFunc},
		{Name: "indent", Usage: "spaces, text", Doc: "The text with all lines but the first indented.", Function: stdlib.IndentFunc},
		{Name: "join", Usage: "separator, lists…", Doc: "The elements of lists of strings as one text.", Function: stdlib.JoinFunc},
		{Name: "lower", Usage: "text", Doc: "The text in lower case.", Function: stdlib.LowerFunc},
		{Name: "regex", Usage: "pattern, text", Doc: "The first match, or its groups; an error if there is none.", Function: stdlib.RegexFunc},
		{Name: "regexall", Usage: "pattern, text", Doc: "All matches, a list.", Function: stdlib.RegexAllFunc},
		{Name: "replace", Usage: "text, old, new", Doc: "The text with every old replaced; an old in slashes is a regular expression.", Function: replace},
		{Name: "split", Usage: "separator, text", Doc: "The parts of a text between separators.", Function: stdlib.SplitFunc},
		{Name: "startswith", Usage: "text, prefix", Doc: "Whether the text starts with the prefix.", Function: startsWith},
		{Name: "strcontains", Usage: "text, part", Doc: "Whether the text contains the part.", Function: strContains},
		{Name: "strrev", Usage: "text", Doc: "The text with its characters reversed.", Function: stdlib.ReverseFunc},
		{Name: "substr", Usage: "text, offset, length", Doc: "A part of the text, in characters; a length of -1 is the rest.", Function: stdlib.SubstrFunc},
		{Name: "title", Usage: "text", Doc: "The text with each word's first letter in upper case.", Function: stdlib.TitleFunc},
		{Name: "trim", Usage: "text, characters", Doc: "The text without any of the characters at both ends.", Function: stdlib.TrimFunc},
		{Name: "trimprefix", Usage: "text, prefix", Doc: "The text without the prefix.", Function: stdlib.TrimPrefixFunc},
		{Name: "trimspace", Usage: "text", Doc: "The text without white space at both ends.", Function: stdlib.TrimSpaceFunc},
		{Name: "trimsuffix", Usage: "text, suffix", Doc: "The text without the suffix.", Function: stdlib.TrimSuffixFunc},
		{Name: "upper", Usage: "text", Doc: "The text in upper case.", Function: stdlib.UpperFunc},
	})
}

func collections() []Func {
	return group("collections", []Func{
		{Name: "alltrue", Usage: "bools", Doc: "Whether all are true; true for an empty list.", Function: allTrue},
		{Name: "anytrue", Usage: "bools", Doc: "Whether one is true; false for an empty list.", Function: anyTrue},
		{Name: "chunklist", Usage: "list, size", Doc: "The list in lists of a size.", Function: stdlib.ChunklistFunc},
		{Name: "coalesce", Usage: "values…", Doc: "The first that is neither null nor an empty string.", Function: coalesce},
		{Name: "coalescelist", Usage: "lists…", Doc: "The first list that isn't empty.", Function: stdlib.CoalesceListFunc},
		{Name: "compact", Usage: "list", Doc: "The list of strings without empty ones and nulls.", Function: stdlib.CompactFunc},
		{Name: "concat", Usage: "lists…", Doc: "The lists as one.", Function: stdlib.ConcatFunc},
		{Name: "contains", Usage: "list, value", Doc: "Whether a list or set has the value.", Function: stdlib.ContainsFunc},
		{Name: "distinct", Usage: "list", Doc: "The list without repetitions.", Function: stdlib.DistinctFunc},
		{Name: "element", Usage: "list, index", Doc: "An element; an index past the end starts again at the front.", Function: stdlib.ElementFunc},
		{Name: "flatten", Usage: "list", Doc: "The list with lists inside it replaced by their elements.", Function: stdlib.FlattenFunc},
		{Name: "index", Usage: "list, value", Doc: "The position of a value in a list.", Function: index},
		{Name: "keys", Usage: "map", Doc: "The keys of a map or object, sorted.", Function: stdlib.KeysFunc},
		{Name: "length", Usage: "value", Doc: "The number of elements, or of a text's characters.", Function: length},
		{Name: "lookup", Usage: "map, key, default", Doc: "The value of a key, or the default.", Function: lookup},
		{Name: "matchkeys", Usage: "values, keys, wanted", Doc: "The values whose keys, a parallel list, are among the wanted.", Function: matchKeys},
		{Name: "merge", Usage: "maps…", Doc: "The maps or objects as one; later ones win.", Function: stdlib.MergeFunc},
		{Name: "one", Usage: "list", Doc: "The only element; null for an empty list, an error for more.", Function: one},
		{Name: "range", Usage: "start, limit, step", Doc: "The numbers from start up to before limit.", Function: stdlib.RangeFunc},
		{Name: "reverse", Usage: "list", Doc: "The list from its end.", Function: stdlib.ReverseListFunc},
		{Name: "slice", Usage: "list, start, end", Doc: "The elements from start up to before end.", Function: stdlib.SliceFunc},
		{Name: "sort", Usage: "list", Doc: "The list of strings, sorted.", Function: stdlib.SortFunc},
		{Name: "transpose", Usage: "map", Doc: "A map of lists of strings with keys and elements swapped.", Function: transpose},
		{Name: "values", Usage: "map", Doc: "The values of a map or object, by sorted keys.", Function: stdlib.ValuesFunc},
		{Name: "zipmap", Usage: "keys, values", Doc: "A map made of two lists.", Function: stdlib.ZipmapFunc},
	})
}

func sets() []Func {
	return group("sets", []Func{
		{Name: "setintersection", Usage: "sets…", Doc: "What all sets have.", Function: stdlib.SetIntersectionFunc},
		{Name: "setproduct", Usage: "sets…", Doc: "All combinations of the elements.", Function: stdlib.SetProductFunc},
		{Name: "setsubtract", Usage: "set, other", Doc: "What the first set has and the other lacks.", Function: stdlib.SetSubtractFunc},
		{Name: "setunion", Usage: "sets…", Doc: "What any set has.", Function: stdlib.SetUnionFunc},
	})
}

func encodings() []Func {
	return group("encodings", []Func{
		{Name: "base64decode", Usage: "text", Doc: "The UTF-8 text that Base64 encodes.", Function: encoding.Base64DecodeFunc},
		{Name: "base64encode", Usage: "text", Doc: "The text's bytes in Base64.", Function: encoding.Base64EncodeFunc},
		{Name: "base64gzip", Usage: "text", Doc: "The text's bytes, compressed with gzip, in Base64.", Function: base64Gzip},
		{Name: "csvdecode", Usage: "text", Doc: "The rows of a CSV text, objects by its first line.", Function: stdlib.CSVDecodeFunc},
		{Name: "jsondecode", Usage: "text", Doc: "The value that JSON writes.", Function: stdlib.JSONDecodeFunc},
		{Name: "jsonencode", Usage: "value", Doc: "The value as JSON.", Function: stdlib.JSONEncodeFunc},
		{Name: "textdecodebase64", Usage: "text, encoding", Doc: "The text whose bytes in a character encoding Base64 holds.", Function: textDecodeBase64},
		{Name: "textencodebase64", Usage: "text, encoding", Doc: "The text's bytes in a character encoding, in Base64.", Function: textEncodeBase64},
		{Name: "urldecode", Usage: "text", Doc: "The text that URL encoding writes.", Function: urlDecode},
		{Name: "urlencode", Usage: "text", Doc: "The text for use in a URL's query.", Function: encoding.URLEncodeFunc},
		{Name: "yamldecode", Usage: "text", Doc: "The value that YAML writes.", Function: yaml.YAMLDecodeFunc},
		{Name: "yamlencode", Usage: "value", Doc: "The value as YAML.", Function: yaml.YAMLEncodeFunc},
	})
}

func dates() []Func {
	return group("dates", []Func{
		{Name: "formatdate", Usage: "format, time", Doc: "An RFC 3339 time in a format such as \"DD MMM YYYY\".", Function: stdlib.FormatDateFunc},
		{Name: "timeadd", Usage: "time, duration", Doc: "A time moved by a duration such as \"10m\".", Function: stdlib.TimeAddFunc},
		{Name: "timecmp", Usage: "a, b", Doc: "-1, 0 or 1 as one time is before, at or after another.", Function: timeCmp},
	})
}

func hashes() []Func {
	return group("hashes", []Func{
		{Name: "base64sha256", Usage: "text", Doc: "The SHA-256 sum in Base64.", Function: base64SHA256},
		{Name: "base64sha512", Usage: "text", Doc: "The SHA-512 sum in Base64.", Function: base64SHA512},
		{Name: "md5", Usage: "text", Doc: "The MD5 sum in hexadecimal.", Function: crypto.Md5Func},
		{Name: "rsadecrypt", Usage: "text, key", Doc: "A Base64 text decrypted with a PEM key (PKCS #1 v1.5).", Function: crypto.RsaDecryptFunc},
		{Name: "sha1", Usage: "text", Doc: "The SHA-1 sum in hexadecimal.", Function: crypto.Sha1Func},
		{Name: "sha256", Usage: "text", Doc: "The SHA-256 sum in hexadecimal.", Function: crypto.Sha256Func},
		{Name: "sha512", Usage: "text", Doc: "The SHA-512 sum in hexadecimal.", Function: crypto.Sha512Func},
		{Name: "uuidv5", Usage: "namespace, name", Doc: "The UUID that stands for a name.", Function: uuid.V5Func},
	})
}

func keys() []Func {
	return group("keys", []Func{
		{Name: "certificate_chain", Usage: "text", Doc: "The certificates of a text that has them with their key, in PEM form, the key's own first. They aren't sensitive, whatever the text is.", Function: certificateChain},
		{Name: "certificate_fingerprint", Usage: "text", Doc: "The SHA-256 sum of the first of these certificates, in hexadecimal. It isn't sensitive.", Function: certificateFingerprint},
		{Name: "certificate_key", Usage: "text", Doc: "The private key of a text that has it with its certificate, in PEM form.", Function: certificateKey},
		{Name: "ssh_fingerprint", Usage: "key", Doc: "The fingerprint of an SSH private key, as sshd notes it: \"SHA256:…\". It isn't sensitive.", Function: sshFingerprint},
		{Name: "ssh_public_key", Usage: "key", Doc: "The public half of an SSH private key, as a line of authorized_keys. It isn't sensitive.", Function: sshPublicKey},
	})
}

func networks() []Func {
	return group("networks", []Func{
		{Name: "cidrcontains", Usage: "prefix, address", Doc: "Whether a network contains an address or network.", Function: cidrContains},
		{Name: "cidrhost", Usage: "prefix, number", Doc: "The address of a host in a network.", Function: cidr.HostFunc},
		{Name: "cidrnetmask", Usage: "prefix", Doc: "The netmask of an IPv4 network.", Function: cidr.NetmaskFunc},
		{Name: "cidrsubnet", Usage: "prefix, bits, number", Doc: "A network inside a network.", Function: cidr.SubnetFunc},
		{Name: "cidrsubnets", Usage: "prefix, bits…", Doc: "Networks one after the other inside a network.", Function: cidr.SubnetsFunc},
	})
}

func types() []Func {
	return group("types", []Func{
		{Name: "account", Usage: "value", Doc: "The account in a secret of the form ACCOUNT:PASSWORD. It isn't sensitive.", Function: account},
		{Name: "can", Usage: "expression", Doc: "Whether the expression has a value and no error.", Function: tryfunc.CanFunc},
		{Name: "issensitive", Usage: "value", Doc: "Whether the value is sensitive.", Function: isSensitive},
		{Name: "nonsensitive", Usage: "value", Doc: "The value, no longer sensitive: it will be shown.", Function: nonSensitive},
		{Name: "password", Usage: "value", Doc: "The password in a secret of the form ACCOUNT:PASSWORD.", Function: password},
		{Name: "sensitive", Usage: "value", Doc: "The value, never to be shown.", Function: sensitive},
		{Name: "tobool", Usage: "value", Doc: "The value as a bool.", Function: stdlib.MakeToFunc(cty.Bool)},
		{Name: "tolist", Usage: "value", Doc: "The value as a list.", Function: stdlib.MakeToFunc(cty.List(cty.DynamicPseudoType))},
		{Name: "tomap", Usage: "value", Doc: "The value as a map.", Function: stdlib.MakeToFunc(cty.Map(cty.DynamicPseudoType))},
		{Name: "tonumber", Usage: "value", Doc: "The value as a number.", Function: stdlib.MakeToFunc(cty.Number)},
		{Name: "toset", Usage: "value", Doc: "The value as a set.", Function: stdlib.MakeToFunc(cty.Set(cty.DynamicPseudoType))},
		{Name: "tostring", Usage: "value", Doc: "The value as a string.", Function: stdlib.MakeToFunc(cty.String)},
		{Name: "try", Usage: "expressions…", Doc: "The value of the first expression without an error.", Function: tryfunc.TryFunc},
	})
}

func group(name string, list []Func) []Func {
	for i := range list {
		list[i].Group = name
	}
	return list
}
