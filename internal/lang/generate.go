package lang

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"muster/internal/keypair"
	"muster/internal/keypair/sshkey"
	"muster/internal/lang/diag"
	"muster/internal/lang/eval"
	"muster/internal/lang/plays"
)

// generate reads a rotation's block "generate".
func (l *loader) generate(u *plays.Unit, r *plays.Rotation, b *hclsyntax.Block) {
	if x := b.Body.Attributes["type"]; x != nil {
		text := l.constString(x)
		if text == "" {
			return
		}
		if !slices.Contains(plays.ValueTypes(), text) {
			l.errorAt(x.Expr.Range(), "Wrong value", diag.DidYouMean(text, plays.ValueTypes()), "The type of a value is one of %s.", diag.List(plays.ValueTypes()))
			return
		}
		r.Generate.Type = plays.ValueType(text)
	}
	sort := cmp.Or(r.Generate.Type, plays.Password)
	for _, x := range sortedAttributes(b.Body) {
		for _, other := range plays.ValueTypes() {
			if o := plays.ValueType(other); o != sort && slices.Contains(o.Options(), x.Name) {
				l.errorAt(x.NameRange, "Conflicting arguments", "", "%q is said of the type %q, and this is of the type %q, which takes %s.", x.Name, other, sort, diag.List(sort.Options()))
				return
			}
		}
	}
	g := recipe{loader: l, unit: u, block: b, to: &r.Generate, a: l.attributes(b.Body, "generate", append([]string{"type"}, sort.Options()...), nil)}
	switch sort {
	case plays.Password:
		g.password()
	case plays.SSHKey:
		g.text("comment", &r.Generate.Comment, sshkey.CheckComment)
	case plays.CertificateKey:
		g.certificate(r)
	}
}

// recipe reads the arguments of a block "generate". They may read variables; what isn't
// known while validating isn't checked.
type recipe struct {
	*loader
	unit    *plays.Unit
	block   *hclsyntax.Block
	a       map[string]*hclsyntax.Attribute
	to      *plays.Generate
	unknown bool // something isn't known
}

// value returns an argument's value; nil where it isn't given, isn't known or can't be had.
func (g *recipe) value(name string) any {
	x := g.a[name]
	if x == nil {
		return nil
	}
	v, ok := g.static(g.unit, x.Expr, "generate")
	if !ok {
		return nil
	}
	if v, _ = v.UnmarkDeep(); !v.IsWhollyKnown() {
		g.unknown = true
		return nil
	}
	if v.IsNull() {
		return nil
	}
	return eval.Plain(v)
}

// wrong reports why an argument can't be as it is.
func (g *recipe) wrong(name, hint, format string, a ...any) {
	g.errorAt(g.a[name].Expr.Range(), "Wrong value", hint, format, a...)
}

func (g *recipe) text(name string, to *string, check func(string) error) {
	v := g.value(name)
	if v == nil {
		return
	}
	text, ok := v.(string)
	if !ok {
		g.wrong(name, "", "%q takes a string.", name)
		return
	}
	*to = text
	if err := check(text); err != nil {
		g.wrong(name, "", "%s.", diag.Capital(err.Error()))
	}
}

// number reads a whole number from least to most.
func (g *recipe) number(name string, to *int, hint string, check func(int) error) {
	v := g.value(name)
	if v == nil {
		return
	}
	n, ok := v.(int64)
	if !ok {
		g.wrong(name, hint, "%q takes a whole number.", name)
		return
	}
	*to = int(n)
	if err := check(int(n)); err != nil {
		g.wrong(name, hint, "%s.", diag.Capital(err.Error()))
	}
}

// texts reads a list of strings.
func (g *recipe) texts(name string, to *[]string, hint string, check func(string) error) {
	v := g.value(name)
	if v == nil {
		return
	}
	items, ok := v.([]any)
	for _, e := range items {
		s, isText := e.(string)
		ok = ok && isText
		*to = append(*to, s)
	}
	if !ok || len(items) == 0 {
		g.wrong(name, hint, "%q takes a list of strings.", name)
		return
	}
	for _, s := range *to {
		if err := check(s); err != nil {
			g.wrong(name, hint, "%s.", diag.Capital(err.Error()))
		}
	}
}

func (g *recipe) password() {
	g.number("length", &g.to.Length, "length = 32", func(n int) error {
		if n < 8 || n > 4096 {
			return errors.New("a value's length is a whole number from 8 to 4096")
		}
		return nil
	})
	g.texts("characters", &g.to.Characters, `characters = ["lower", "digits"]`, func(s string) error {
		if !slices.Contains([]string{"lower", "upper", "digits", "symbols", "hex"}, s) {
			return errors.New("characters are a list of lower, upper, digits, symbols and hex")
		}
		return nil
	})
}

func (g *recipe) certificate(r *plays.Rotation) {
	before := len(g.diags)
	g.text("common_name", &g.to.CommonName, keypair.CheckCommonName)
	g.texts("names", &g.to.Names, `names = ["www.example.com"]`, keypair.CheckName)
	g.number("days", &g.to.Days, "days = 90", keypair.CheckDays)
	switch v := g.value("authority").(type) {
	case nil:
	case bool:
		g.to.Authority = v
	default:
		g.wrong("authority", "authority = true", "\"authority\" takes true or false.")
	}
	if x := g.a["ca"]; x != nil {
		if g.to.CA = g.constString(x); g.to.CA == r.Secret && g.to.CA != "" {
			g.wrong("ca", "", "The rotation makes %q itself anew: what is signed by its own key has no \"ca\".", g.to.CA)
		} else {
			g.ownSecret(x, g.to.CA)
		}
	}
	if len(g.diags) > before || g.unknown {
		return
	}
	if err := g.to.Request().Check(); err != nil {
		g.errorAt(header(g.block), "Wrong value", "", "%s.", diag.Capital(err.Error()))
		return
	}
	days := cmp.Or(g.to.Days, keypair.DefaultDays)
	if every := everyDays(r.Every); every >= days {
		g.errorAt(header(g.block), "Conflicting arguments", fmt.Sprintf("days = %d", min(2*every, keypair.MostDays)), "The certificate is good for %d days, and rotated every %d: it would end before another takes its place.", days, every)
	}
}

// everyDays are the days of "30d" or "12w"; 0 where it says none.
func everyDays(text string) int {
	if n, err := strconv.Atoi(strings.TrimSuffix(text, "d")); err == nil && strings.HasSuffix(text, "d") {
		return n
	}
	if n, err := strconv.Atoi(strings.TrimSuffix(text, "w")); err == nil && strings.HasSuffix(text, "w") {
		return 7 * n
	}
	return 0
}
