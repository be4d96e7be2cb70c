package funcs

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// context has all functions, over the files of a folder.
func context(dir string) *hcl.EvalContext {
	p := Project{
		Read: func(path string) ([]byte, error) {
			b, err := os.ReadFile(filepath.Join(dir, path))
			if err != nil {
				return nil, errors.New("there is no " + path)
			}
			return b, nil
		},
		Exists: func(path string) (bool, error) {
			_, err := os.Stat(filepath.Join(dir, path))
			return err == nil, nil
		},
		Glob:     func(sub, pattern string) ([]string, error) { return []string{"a.conf", "sub/b.conf"}, nil },
		Template: func(path string, vars cty.Value) (cty.Value, error) { return vars.GetAttr("x"), nil },
	}
	match := func(patterns []string) ([]string, error) {
		if patterns[0] == "nope" {
			return nil, errors.New(`there is no host or group "nope"`)
		}
		return patterns, nil
	}
	ctx := &hcl.EvalContext{
		Functions: Map(append(append(Pure(), Files(p)...), Fleet(match, false)...)),
		Variables: map[string]cty.Value{
			"unknown": cty.UnknownVal(cty.String),
			"list":    cty.ListVal([]cty.Value{cty.StringVal("b"), cty.StringVal("a")}),
			"late":    cty.ListVal([]cty.Value{cty.StringVal("b"), cty.UnknownVal(cty.String)}),
			"secret":  cty.StringVal("secret").Mark(Sensitive),
			"key":     cty.StringVal(testKey),
		},
	}
	return ctx
}

func evaluate(t *testing.T, ctx *hcl.EvalContext, text string) (cty.Value, hcl.Diagnostics) {
	t.Helper()
	e, diags := hclsyntax.ParseExpression([]byte(text), "test", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	return e.Value(ctx)
}

// show writes a value as JSON; "?" is unknown, "!" before it sensitive.
func show(t *testing.T, v cty.Value) string {
	t.Helper()
	prefix := ""
	plain, marks := v.UnmarkDeep()
	if _, ok := marks[Sensitive]; ok {
		prefix = "!"
	}
	v = plain
	if !v.IsWhollyKnown() {
		return prefix + "?"
	}
	b, err := ctyjson.Marshal(v, v.Type())
	if err != nil {
		t.Fatal(err)
	}
	return prefix + string(b)
}

func TestFunctionsMeanWhatTerraformUsersKnow(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{"text": "hello\n", "binary": "\xff\xfe"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	ctx := context(dir)
	for _, c := range []struct{ expr, want string }{
		{`abs(-12.4)`, `12.4`},
		{`ceil(5.1)`, `6`},
		{`floor(4.9)`, `4`},
		{`log(16, 2)`, `4`},
		{`max(12, 54, 3)`, `54`},
		{`max([12, 54, 3]...)`, `54`},
		{`min(12, 54, 3)`, `3`},
		{`parseint("FF", 16)`, `255`},
		{`pow(3, 2)`, `9`},
		{`signum(-13)`, `-1`},
		{`sum([10, 13, 6, 4.5])`, `33.5`},
		{`sum([])`, `error: the sum of an empty list`},
		{`sum(["a"])`, `error: an element is no number`},

		{`chomp("hello\r\n\n")`, `"hello"`},
		{`endswith("hello world", "world")`, `true`},
		{`format("Hello, %s! %05.1f %#v", "Ander", 3.14159, ["a"])`, `"Hello, Ander! 003.1 [\"a\"]"`},
		{`formatlist("%s:%d", ["a", "b"], [1, 2])`, `["a:1","b:2"]`},
		{`indent(2, "a\nb")`, `"a\n  b"`},
		{`join(", ", ["foo", "bar"])`, `"foo, bar"`},
		{`lower("HELLO")`, `"hello"`},
		{`regex("[a-z]+", "53453453.345345aaabbbccc23454")`, `"aaabbbccc"`},
		{`regex("(\\d+)-(\\d+)", "12-34")`, `["12","34"]`},
		{`regex("x", "y")`, `error: pattern did not match`},
		{`regexall("[a-z]+", "1234abcd5678efgh9")`, `["abcd","efgh"]`},
		{`replace("1 + 2 + 3", "+", "-")`, `"1 - 2 - 3"`},
		{`replace("hello world", "/w.*d/", "everybody")`, `"hello everybody"`},
		{`replace("a.b", "/(.)\\.(.)/", "$2.$1")`, `"b.a"`},
		{`split(",", "foo,bar")`, `["foo","bar"]`},
		{`startswith("hello world", "hello")`, `true`},
		{`strcontains("hello world", "wor")`, `true`},
		{`strrev("hé")`, `"éh"`},
		{`substr("hello world", 1, 4)`, `"ello"`},
		{`substr("hello", -3, -1)`, `"llo"`},
		{`title("hello world")`, `"Hello World"`},
		{`trim("?!hello?!", "!?")`, `"hello"`},
		{`trimprefix("helloworld", "hello")`, `"world"`},
		{`trimsuffix("helloworld", "world")`, `"hello"`},
		{`trimspace("  hello\n")`, `"hello"`},
		{`upper("hello")`, `"HELLO"`},

		{`alltrue([true, "true"])`, `true`},
		{`alltrue([true, null])`, `false`},
		{`alltrue([])`, `true`},
		{`anytrue([false, "true"])`, `true`},
		{`anytrue([])`, `false`},
		{`chunklist(["a", "b", "c"], 2)`, `[["a","b"],["c"]]`},
		{`coalesce("", "b")`, `"b"`},
		{`coalesce(null, 1)`, `1`},
		{`coalesce("", null)`, `error: all arguments are null`},
		{`coalescelist([], ["c"])`, `["c"]`},
		{`compact(["a", "", null, "b"])`, `["a","b"]`},
		{`concat(["a"], ["b"])`, `["a","b"]`},
		{`contains(["a"], "a")`, `true`},
		{`distinct(["a", "b", "a"])`, `["a","b"]`},
		{`element(["a", "b", "c"], 3)`, `"a"`},
		{`flatten([["a"], [], ["b", ["c"]]])`, `["a","b","c"]`},
		{`index(["a", "b"], "b")`, `1`},
		{`index(["a"], "x")`, `error: the list doesn't have this value`},
		{`keys({ b = 1, a = 2 })`, `["a","b"]`},
		{`length("hé")`, `2`},
		{`length({ a = 1 })`, `1`},
		{`length([])`, `0`},
		{`length(true)`, `error: a list, set, map, object or string`},
		{`lookup({ a = "x" }, "a", "y")`, `"x"`},
		{`lookup({ a = "x" }, "b", "y")`, `"y"`},
		{`lookup({ a = "x" }, "a")`, `"x"`},
		{`lookup({ a = "x" }, "b")`, `error: there is no such key`},
		{`lookup(tomap({ a = "x" }), "b", "y")`, `"y"`},
		{`matchkeys(["i1", "i2", "i3"], ["w", "e", "w"], ["w"])`, `["i1","i3"]`},
		{`merge({ a = 1, b = 2 }, { b = 3 })`, `{"a":1,"b":3}`},
		{`one([])`, `null`},
		{`one(["x"])`, `"x"`},
		{`one(["x", "y"])`, `error: there must be one element or none`},
		{`range(3)`, `[0,1,2]`},
		{`reverse([1, 2])`, `[2,1]`},
		{`slice(["a", "b", "c"], 1, 3)`, `["b","c"]`},
		{`sort(["e", "d"])`, `["d","e"]`},
		{`transpose({ a = ["1", "2"], b = ["2"] })`, `{"1":["a"],"2":["a","b"]}`},
		{`values({ b = 1, a = 2 })`, `[2,1]`},
		{`zipmap(["a"], [1])`, `{"a":1}`},

		{`setintersection(["a", "b"], ["b"])`, `["b"]`},
		{`setproduct(["a", "b"], ["x"])`, `[["a","x"],["b","x"]]`},
		{`setsubtract(["a", "b"], ["b"])`, `["a"]`},
		{`setunion(["a"], ["b"])`, `["a","b"]`},

		{`base64decode(base64encode("Hello"))`, `"Hello"`},
		{`base64gzip("x") == base64gzip("x")`, `true`},
		{`csvdecode("a,b\n1,2")`, `[{"a":"1","b":"2"}]`},
		{`jsondecode("{\"a\": [1, true]}")`, `{"a":[1,true]}`},
		{`jsonencode({ a = [1, null] })`, `"{\"a\":[1,null]}"`},
		{`textencodebase64("Hé", "UTF-16LE")`, `"SADpAA=="`},
		{`textdecodebase64("SADpAA==", "UTF-16LE")`, `"Hé"`},
		{`textencodebase64("x", "nope")`, `error: no character encoding`},
		{`urlencode("a b/c")`, `"a+b%2Fc"`},
		{`urldecode("a+b%2Fc")`, `"a b/c"`},
		{`yamldecode("a: [1, x]")`, `{"a":[1,"x"]}`},
		{`yamlencode({ a = 1 })`, `"\"a\": 1\n"`},

		{`formatdate("DD MMM YYYY hh:mm", "2018-01-02T23:12:01Z")`, `"02 Jan 2018 23:12"`},
		{`timeadd("2017-11-22T00:00:00Z", "10m")`, `"2017-11-22T00:10:00Z"`},
		{`timecmp("2017-11-22T00:00:00Z", "2017-11-22T01:00:00+01:00")`, `0`},
		{`timecmp("x", "2017-11-22T01:00:00+01:00")`, `error: no RFC 3339 time`},

		{`base64sha256("hello")`, `"LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ="`},
		{`md5("hello")`, `"5d41402abc4b2a76b9719d911017c592"`},
		{`sha1("hello")`, `"aaf4c61ddcc5e8a2dabede0f3b482cd9aea9434d"`},
		{`sha256("hello")`, `"2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824"`},
		{`substr(sha512("hello"), 0, 8)`, `"9b71d224"`},
		{`length(base64sha512("hello"))`, `88`},
		{`uuidv5("dns", "www.terraform.io")`, `"a5008fae-b28c-5ba5-96cd-82b4c53552d6"`},

		{`cidrcontains("10.0.0.0/8", "10.1.2.3")`, `true`},
		{`cidrcontains("10.0.0.0/16", "10.0.0.0/8")`, `false`},
		{`cidrcontains("10.0.0.0/16", "::1")`, `error: one is IPv4`},
		{`cidrhost("10.12.112.0/20", 16)`, `"10.12.112.16"`},
		{`cidrhost("10.12.112.0/20", -1)`, `"10.12.127.255"`},
		{`cidrnetmask("172.16.0.0/12")`, `"255.240.0.0"`},
		{`cidrsubnet("172.16.0.0/12", 4, 2)`, `"172.18.0.0/16"`},
		{`cidrsubnets("10.1.0.0/16", 4, 4)`, `["10.1.0.0/20","10.1.16.0/20"]`},

		{`can(regex("x", "y"))`, `false`},
		{`try(regex("x", "y"), "no")`, `"no"`},
		{`tobool("true")`, `true`},
		{`tonumber("1")`, `1`},
		{`tostring(1)`, `"1"`},
		{`tolist(toset(["b", "a", "b"]))`, `["a","b"]`},
		{`tomap({ a = "x" })`, `{"a":"x"}`},

		{`basename("foo/bar/baz.txt")`, `"baz.txt"`},
		{`dirname("foo/bar/baz.txt")`, `"foo/bar"`},
		{`file("text")`, `"hello\n"`},
		{`file("binary")`, `error: isn't UTF-8`},
		{`file("missing")`, `error: there is no missing`},
		{`filebase64("binary")`, `"//4="`},
		{`fileexists("text")`, `true`},
		{`fileexists("missing")`, `false`},
		{`fileset(".", "**")`, `["a.conf","sub/b.conf"]`},
		{`filemd5("text")`, `"b1946ac92492d2347c6235b4d2611184"`},
		{`substr(filesha1("text"), 0, 8)`, `"f572d396"`},
		{`substr(filesha256("text"), 0, 8)`, `"5891b5b5"`},
		{`substr(filesha512("text"), 0, 8)`, `"e7c22b99"`},
		{`length(filebase64sha256("text"))`, `44`},
		{`length(filebase64sha512("text"))`, `88`},
		{`templatefile("x", { x = "y" })`, `"y"`},
		{`templatefile("x", ["y"])`, `error: a map or object`},
		{`matching("db", "!db2")`, `["db","!db2"]`},
		{`matching("nope")`, `error: there is no host or group`},

		{`upper(unknown)`, `?`},
		{`sort(late)`, `?`},
		{`length(late)`, `2`},
		{`contains(late, "b")`, `true`},
		{`coalesce(unknown, "x")`, `?`},
		{`anytrue([true, unknown == "x"])`, `true`},
		{`alltrue([true, unknown == "x"])`, `?`},
		{`rsadecrypt("x", key)`, `error: base64`},

		{`upper(secret)`, `!"SECRET"`},
		{`join(",", ["a", secret])`, `!"a,secret"`},
		{`length([secret])`, `1`},
		{`{ a = secret }.a`, `!"secret"`},
		{`"x-${secret}"`, `!"x-secret"`},
		{`sha256(secret) == ""`, `!false`},
		{`jsonencode({ a = [secret] })`, `!"{\"a\":[\"secret\"]}"`},
		{`yamlencode({ a = secret })`, `!"\"a\": \"secret\"\n"`},
		{`[for s in [secret] : upper(s)]`, `!["SECRET"]`},
		{`split(",", secret)`, `!["secret"]`},
		{`lookup({ a = secret }, "a", "")`, `!"secret"`},
		{`lookup({ a = "x" }, secret, "y")`, `!"y"`},
		{`templatefile("x", { x = secret })`, `!"secret"`},
		{`secret == "secret" ? 1 : 2`, `!1`},
		{`sensitive("x")`, `!"x"`},
		{`nonsensitive(secret)`, `"secret"`},
		{`nonsensitive("x")`, `"x"`},
		{`account("app_a:x:y")`, `"app_a"`},
		{`account(sensitive("app_a:x:y"))`, `"app_a"`},
		{`password("app_a:x:y")`, `!"x:y"`},
		{`password(sensitive("app_a:x:y"))`, `!"x:y"`},
		{`issensitive(secret)`, `true`},
		{`issensitive("x")`, `false`},
		{`base64encode(sensitive("x"))`, `!"eA=="`},
		{`md5(secret) != ""`, `!true`},
		{`cidrhost(sensitive("10.0.0.0/8"), 1)`, `!"10.0.0.1"`},
		{`coalesce(secret, "x")`, `!"secret"`},
		{`one([secret])`, `!"secret"`},
		{`element([secret], 0)`, `!"secret"`},
		{`merge({ a = secret }, { b = 1 }).a`, `!"secret"`},
		{`zipmap(["a"], [secret])["a"]`, `!"secret"`},
		{`flatten([[secret]])[0]`, `!"secret"`},
		{`replace(secret, "s", "z")`, `!"zecret"`},
		{`regex("s.", secret)`, `!"se"`},
		{`format("%s", secret)`, `!"secret"`},
		{`try(secret, "x")`, `!"secret"`},
		{`transpose({ a = [secret] })`, `!{"secret":["a"]}`},
		{`matchkeys([secret], ["a"], ["a"])[0]`, `!"secret"`},
		{`sum([sensitive(1), 2])`, `!3`},
		{`index([secret], secret)`, `!0`},
	} {
		t.Run(c.expr, func(t *testing.T) {
			v, diags := evaluate(t, ctx, c.expr)
			want, isError := strings.CutPrefix(c.want, "error: ")
			switch {
			case isError && (!diags.HasErrors() || !strings.Contains(diags.Error(), want)):
				t.Errorf("got %v %v, want an error with %q", v, diags, want)
			case !isError && diags.HasErrors():
				t.Error(diags)
			case !isError && show(t, v) != c.want:
				t.Errorf("got %s, want %s", show(t, v), c.want)
			}
		})
	}
}

// terraform is the functions of Terraform 1.12's reference, without those of
// providers and of its own test language.
const terraform = `abs ceil floor log max min parseint pow signum
chomp endswith format formatlist indent join lower regex regexall replace split startswith strcontains strrev substr
templatestring title trim trimprefix trimsuffix trimspace upper
alltrue anytrue chunklist coalesce coalescelist compact concat contains distinct element flatten index keys length list
lookup map matchkeys merge one range reverse setintersection setproduct setsubtract setunion slice sort sum transpose
values zipmap base64decode base64encode base64gzip csvdecode jsondecode jsonencode textdecodebase64 textencodebase64
urlencode yamldecode yamlencode abspath dirname pathexpand basename file fileexists fileset filebase64 templatefile
formatdate plantimestamp timeadd timecmp timestamp base64sha256 base64sha512 bcrypt filebase64sha256 filebase64sha512
filemd5 filesha1 filesha256 filesha512 md5 rsadecrypt sha1 sha256 sha512 uuid uuidv5 cidrhost cidrnetmask cidrsubnet
cidrsubnets can issensitive nonsensitive sensitive tobool tolist tomap tonumber toset tostring try type`

func TestEveryFunctionOfTerraformIsThereOrSaidToBeLeftOut(t *testing.T) {
	there := map[string]bool{}
	for _, name := range Names() {
		if there[name] {
			t.Errorf("%s is there twice", name)
		}
		there[name] = true
	}
	for _, name := range strings.Fields(terraform) {
		if _, out := Excluded()[name]; there[name] == out {
			t.Errorf("%s: there %v, left out %v", name, there[name], out)
		}
	}
}

func TestEveryFunctionIsDescribed(t *testing.T) {
	for _, f := range append(append(Pure(), Files(Project{})...), Fleet(nil, false)...) {
		if f.Name == "" || f.Group == "" || f.Usage == "" || !strings.HasSuffix(f.Doc, ".") {
			t.Errorf("%+v lacks something", f)
		}
	}
}
