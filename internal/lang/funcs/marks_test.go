package funcs

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"

	"muster/internal/keypair"
	"muster/internal/keypair/sshkey"
)

// calls has the arguments of a call of every function.
func calls(t *testing.T) map[string][]string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := rsa.EncryptPKCS1v15(rand.Reader, &key.PublicKey, []byte("text")) //lint:ignore SA1019 what rsadecrypt reads
	if err != nil {
		t.Fatal(err)
	}
	private := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	pair, err := keypair.Certificate(keypair.Request{Names: []string{"example.com"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	sshKey, err := sshkey.New("me")
	if err != nil {
		t.Fatal(err)
	}
	text := []string{`"abc"`}
	list := []string{`["b", "a"]`}
	sets := []string{`["a", "b"]`, `["b", "c"]`}
	table := map[string][]string{
		"abs": {`-1`}, "ceil": {`1.5`}, "floor": {`1.5`}, "log": {`8`, `2`}, "max": {`1`, `2`}, "min": {`1`, `2`},
		"parseint": {`"ff"`, `16`}, "pow": {`2`, `3`}, "signum": {`-2`}, "sum": {`[1, 2]`},
		"endswith": {`"abc"`, `"c"`}, "startswith": {`"abc"`, `"a"`}, "strcontains": {`"abc"`, `"b"`}, "format": {`"%s"`, `"a"`}, "formatlist": {`"%s-%s"`, `"a"`, `["b"]`},
		"indent": {`2`, `"a\nb"`}, "join": {`","`, `["a", "b"]`}, "regex": {`"b"`, `"abc"`}, "regexall": {`"b"`, `"abc"`},
		"replace": {`"abc"`, `"b"`, `"x"`}, "split": {`","`, `"a,b"`}, "substr": {`"abc"`, `0`, `2`}, "trim": {`"abc"`, `"c"`},
		"trimprefix": {`"abc"`, `"a"`}, "trimsuffix": {`"abc"`, `"c"`},
		"alltrue": {`[true]`}, "anytrue": {`[false]`}, "chunklist": {`["a", "b"]`, `1`}, "coalesce": {`""`, `"a"`}, "coalescelist": {`["a"]`},
		"compact": {`["a", ""]`}, "concat": {`["a"]`, `["b"]`}, "contains": {`["a"]`, `"a"`}, "element": {`["a"]`, `0`}, "flatten": {`[["a"], "b"]`},
		"index": {`["a"]`, `"a"`}, "keys": {`{ a = "b" }`}, "length": {`["a"]`}, "lookup": {`{ a = "b" }`, `"a"`, `"c"`},
		"matchkeys": {`["a"]`, `["k"]`, `["k"]`}, "merge": {`{ a = "b" }`, `{ c = "d" }`}, "one": {`["a"]`}, "range": {`0`, `3`, `1`},
		"slice": {`["a", "b"]`, `0`, `1`}, "transpose": {`{ a = ["b"] }`}, "values": {`{ a = "b" }`}, "zipmap": {`["a"]`, `["b"]`},
		"base64decode": {`"YQ=="`}, "csvdecode": {`"a,b\n1,2"`}, "jsondecode": {`"[1]"`}, "jsonencode": {`{ a = ["b"] }`},
		"textdecodebase64": {`"YQBiAA=="`, `"UTF-16LE"`}, "textencodebase64": {`"ab"`, `"UTF-16LE"`}, "yamldecode": {`"a: 1"`}, "yamlencode": {`{ a = ["b"] }`},
		"formatdate": {`"YYYY"`, `"2020-01-02T03:04:05Z"`}, "timeadd": {`"2020-01-02T03:04:05Z"`, `"1h"`}, "timecmp": {`"2020-01-02T03:04:05Z"`, `"2020-01-02T03:04:05Z"`},
		"rsadecrypt": {fmt.Sprintf("%q", base64.StdEncoding.EncodeToString(sealed)), fmt.Sprintf("%q", private)}, "uuidv5": {`"dns"`, `"a"`},
		"cidrcontains": {`"10.0.0.0/8"`, `"10.0.0.1"`}, "cidrhost": {`"10.0.0.0/8"`, `1`}, "cidrnetmask": {`"10.0.0.0/8"`}, "cidrsubnet": {`"10.0.0.0/8"`, `8`, `1`}, "cidrsubnets": {`"10.0.0.0/8"`, `8`, `8`},
		"tobool": {`"true"`}, "tonumber": {`"1"`}, "tomap": {`{ a = "b" }`}, "fileset": {`"sub"`, `"*"`}, "templatefile": {`"a.conf"`, `{ x = "b" }`}, "matching": {`"a"`},
	}
	for names, args := range map[string][]string{
		"account password":                                                                                    {`"a:b"`},
		"distinct reverse sort tolist toset":                                                                  list,
		"setintersection setproduct setsubtract setunion":                                                     sets,
		"chomp lower strrev title trimspace upper basename dirname":                                           text,
		"base64encode base64gzip base64sha256 base64sha512 md5 sha1 sha256":                                   text,
		"sha512 urldecode urlencode tostring sensitive nonsensitive":                                          text,
		"certificate_chain certificate_fingerprint certificate_key":                                           {fmt.Sprintf("%q", pair.Reveal())},
		"ssh_public_key ssh_fingerprint":                                                                      {fmt.Sprintf("%q", sshKey.Reveal())},
		"issensitive can try":                                                                                 text,
		"file filebase64 filebase64sha256 filebase64sha512 fileexists filemd5 filesha1 filesha256 filesha512": {`"a.conf"`},
	} {
		for name := range strings.FieldsSeq(names) {
			table[name] = args
		}
	}
	return table
}

// TestWhatIsSensitiveStaysSoThroughEveryFunction calls every function with
// each of its arguments sensitive, and with each element of one.
func TestWhatIsSensitiveStaysSoThroughEveryFunction(t *testing.T) {
	// What a result tells nothing of, by function, with the reason.
	tells := map[string]string{
		"nonsensitive": "it is there to take the mark off",
		"issensitive":  "it says whether there is one",
		"can":          "it says whether there is an error, as Terraform's",
		"account":      "an account's name is no secret",

		"certificate_chain":       "a certificate is shown to everybody",
		"certificate_fingerprint": "it is a certificate's sum",
		"ssh_public_key":          "it is the public half",
		"ssh_fingerprint":         "it is the public half's sum",
	}
	// Arguments that a result tells nothing of.
	unused := map[string]int{"lookup": 2} // the key is there
	// Functions that look at a collection, but at none of its elements.
	shape := map[string]string{
		"length": "how many there are",
		"keys":   "what they are called",
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.conf"), []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	ctx := context(dir)
	table := calls(t)
	for _, name := range Names() {
		args, ok := table[name]
		if !ok {
			t.Errorf("no call of %s is tried", name)
			continue
		}
		for i := range args {
			for _, deep := range []bool{false, true} {
				child := ctx.NewChild()
				child.Variables = map[string]cty.Value{}
				var call []string
				for j, arg := range args {
					v, diags := evaluate(t, ctx, arg)
					if diags.HasErrors() {
						t.Fatal(diags)
					}
					if j == i && deep {
						v = markElements(v)
					} else if j == i {
						v = v.Mark(Sensitive)
					}
					child.Variables[fmt.Sprintf("a%d", j)] = v
					call = append(call, fmt.Sprintf("a%d", j))
				}
				not, known := unused[name]
				want := tells[name] == "" && !(deep && shape[name] != "") && !(known && not == i)
				checkMarked(t, child, fmt.Sprintf("%s(%s)", name, strings.Join(call, ", ")), fmt.Sprintf("argument %d of %v, deep %v", i, args, deep), want)
			}
		}
	}
}

func checkMarked(t *testing.T, ctx *hcl.EvalContext, call, how string, want bool) {
	t.Helper()
	v, diags := evaluate(t, ctx, call)
	if diags.HasErrors() {
		t.Errorf("%s, %s: %s", call, how, diags)
	} else if got := v.ContainsMarked(); got != want {
		t.Errorf("%s, %s: sensitive is %v, want %v", call, how, got, want)
	}
}

// markElements marks what a collection holds, or the value itself.
func markElements(v cty.Value) cty.Value {
	out, err := cty.Transform(v, func(_ cty.Path, v cty.Value) (cty.Value, error) {
		if v.Type().IsPrimitiveType() {
			return v.Mark(Sensitive), nil
		}
		return v, nil
	})
	if err != nil {
		panic(err) // nothing in it fails
	}
	return out
}

// What anybody may know of a secret isn't sensitive, and still tells what it was made of, on
// its way through other functions.
func TestWhatIsPublicTellsWhatItWasMadeOf(t *testing.T) {
	ctx := context(t.TempDir())
	key, err := sshkey.New("me")
	if err != nil {
		t.Fatal(err)
	}
	pair, err := keypair.Certificate(keypair.Request{Names: []string{"example.com"}}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	for call, of := range map[string]string{
		"ssh_public_key(v)":                             key.Reveal(),
		"ssh_fingerprint(v)":                            key.Reveal(),
		"certificate_chain(v)":                          pair.Reveal(),
		"certificate_fingerprint(v)":                    pair.Reveal(),
		"account(v)":                                    "app_a:x",
		"nonsensitive(v)":                               "x",
		"[\"k ${trimspace(ssh_public_key(v))}\"]":       key.Reveal(),
		"{ for x in [ssh_public_key(v)] : \"a\" => x }": key.Reveal(),
	} {
		child := ctx.NewChild()
		child.Variables = map[string]cty.Value{"v": Hide(cty.StringVal(of))}
		v, diags := evaluate(t, child, call)
		if diags.HasErrors() {
			t.Errorf("%s: %s", call, diags)
			continue
		}
		_, marks := v.UnmarkDeep()
		if _, sensitive := marks[Sensitive]; sensitive {
			t.Errorf("%s is sensitive", call)
		}
		if got := Sources(v); len(got) != 1 || got[0] != of {
			t.Errorf("%s is made of %d texts", call, len(got))
		}
	}
}
