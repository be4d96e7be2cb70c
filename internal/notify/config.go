package notify

import (
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"slices"
	"strings"

	"muster/internal/spelling"

	"github.com/hashicorp/hcl/v2"
	"github.com/zclconf/go-cty/cty"
)

// Block is a notify block of muster.hcl: a receiver, as far as it is known without secrets.
type Block struct {
	Kind, Name string
	exprs      map[string]hcl.Expression
}

// Full is what messages call it.
func (b *Block) Full() string { return "notify." + b.Kind + "." + b.Name }

// field is an argument of a block.
type field struct {
	name     string
	required bool
	list     bool
	private  bool // it opens a door: it is nowhere shown, and shouldn't stand in the file
	check    func(string) error
}

// kinds are the kinds of receivers, with what each takes.
func kinds() map[string][]field {
	return map[string][]field{
		"webhook": {{name: "url", required: true, check: webAddress}, {name: "secret", required: true, private: true, check: notEmpty}, {name: "ca"}},
		"slack":   {{name: "url", required: true, private: true, check: webAddress}, {name: "ca"}},
		"email": {
			{name: "server", required: true, check: hostAndPort}, {name: "from", required: true, check: address}, {name: "to", required: true, list: true, check: address},
			{name: "username", check: notEmpty}, {name: "password", private: true, check: notEmpty}, {name: "tls", check: tlsMode}, {name: "ca"},
		},
	}
}

func notEmpty(s string) error {
	if s == "" {
		return fmt.Errorf("it is empty")
	}
	return nil
}

func webAddress(s string) error {
	u, err := url.Parse(s)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" {
		return fmt.Errorf("it isn't an address that begins with https://") // the text may be a secret
	}
	if ip := net.ParseIP(u.Hostname()); u.Scheme == "http" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("it begins with http://: everybody on the way could read it; take https://, or an address of this machine")
	}
	return nil
}

func hostAndPort(s string) error {
	if host, port, err := net.SplitHostPort(s); err != nil || host == "" || port == "" {
		return fmt.Errorf("it is a name and a port: \"mail.example.com:587\"")
	}
	return nil
}

func address(s string) error {
	if _, err := mail.ParseAddress(s); err != nil {
		return fmt.Errorf("%q is no address of an e-mail", s)
	}
	return nil
}

func tlsMode(s string) error {
	if !slices.Contains([]string{"starttls", "implicit", "none"}, s) {
		return fmt.Errorf("it is \"starttls\", \"implicit\" or \"none\"")
	}
	return nil
}

// Read checks notify blocks as far as they can be without secrets.
func Read(blocks hcl.Blocks) (list []*Block, diags hcl.Diagnostics) {
	seen := map[string]hcl.Range{}
	for _, raw := range blocks {
		b := &Block{Kind: raw.Labels[0], Name: raw.Labels[1], exprs: map[string]hcl.Expression{}}
		fields, ok := kinds()[b.Kind]
		if !ok {
			diags = append(diags, problem("Unknown way to notify", fmt.Sprintf(`A notify block is "webhook", "slack" or "email", not %q.`, b.Kind), raw.LabelRanges[0]))
			continue
		}
		if at, twice := seen[b.Full()]; twice {
			diags = append(diags, problem("Name used twice", fmt.Sprintf("%s is declared at %s, too.", b.Full(), at), raw.DefRange))
			continue
		}
		seen[b.Full()] = raw.DefRange
		attrs, more := raw.Body.JustAttributes()
		diags = append(diags, more...)
		diags = append(diags, b.read(raw, fields, attrs)...)
		list = append(list, b)
	}
	return list, diags
}

func (b *Block) read(raw *hcl.Block, fields []field, attrs hcl.Attributes) (diags hcl.Diagnostics) {
	var names []string
	for _, f := range fields {
		names = append(names, f.name)
		attr := attrs[f.name]
		if attr == nil {
			if f.required {
				diags = append(diags, problem("Missing argument", fmt.Sprintf("%s needs %q.", b.Full(), f.name), raw.DefRange))
			}
			continue
		}
		b.exprs[f.name] = attr.Expr
		diags = append(diags, b.try(f, attr)...)
	}
	for name, attr := range attrs {
		if !slices.Contains(names, name) {
			detail := fmt.Sprintf("A %s is told by %s.", b.Kind, strings.Join(names, ", "))
			if near := spelling.Nearest(name, names); near != "" {
				detail += fmt.Sprintf(" Did you mean %q?", near)
			}
			diags = append(diags, problem("Unknown argument", detail, attr.NameRange))
		}
	}
	_, user := attrs["username"]
	if _, password := attrs["password"]; user != password {
		diags = append(diags, problem("Half a login", fmt.Sprintf("%s has one of username and password: give both, or none.", b.Full()), raw.DefRange))
	}
	if mode, err := b.text("tls", cty.EmptyObjectVal, cty.EmptyObjectVal); user && err == nil && mode == "none" {
		diags = append(diags, problem("A password without TLS", fmt.Sprintf("%s would send its password in the clear: leave tls out, or the login.", b.Full()), attrs["tls"].Range))
	}
	return diags
}

// try evaluates an argument as far as it is known.
func (b *Block) try(f field, attr *hcl.Attribute) (diags hcl.Diagnostics) {
	at := attr.Expr.Range()
	variables := attr.Expr.Variables()
	for _, v := range variables {
		if _, _, ok := reference(v); !ok {
			return hcl.Diagnostics{problem("Unknown reference", `An argument of a notify block may read secret["NAME"], of the project's store, and env["NAME"], of the environment.`, v.SourceRange())}
		}
	}
	unknown := cty.UnknownVal(cty.Map(cty.String))
	v, diags := attr.Expr.Value(&hcl.EvalContext{Variables: map[string]cty.Value{"secret": unknown, "env": unknown}})
	if diags.HasErrors() {
		return diags
	}
	if f.private && len(variables) == 0 {
		diags = append(diags, &hcl.Diagnostic{Severity: hcl.DiagWarning, Summary: "A secret in the open",
			Detail:  fmt.Sprintf("%q of %s stands in this file for everybody who reads it. Keep it in the store, secret[\"NAME\"], or in the environment, env[\"NAME\"].", f.name, b.Full()),
			Subject: &at})
	}
	_, err := texts(f, v)
	if err != nil {
		diags = append(diags, problem("Wrong value", fmt.Sprintf("%q of %s: %s.", f.name, b.Full(), err), at))
	}
	return diags
}

// texts are the strings of an argument; none where they aren't known yet.
func texts(f field, v cty.Value) (list []string, err error) {
	values := []cty.Value{v}
	if f.list {
		if v.IsNull() || !v.IsWhollyKnown() && !v.Type().IsTupleType() || !v.CanIterateElements() {
			return nil, fmt.Errorf("it takes a list: [\"ops@example.com\"]")
		}
		if values = v.AsValueSlice(); len(values) == 0 {
			return nil, fmt.Errorf("it is empty")
		}
	}
	for _, v := range values {
		switch {
		case v.Type() != cty.String && v.Type() != cty.DynamicPseudoType, v.IsNull():
			return nil, fmt.Errorf("it takes a string")
		case !v.IsKnown():
			continue
		}
		if f.check != nil {
			if err := f.check(v.AsString()); err != nil {
				return nil, err
			}
		}
		list = append(list, v.AsString())
	}
	return list, nil
}

// reference is what secret["x"] or env["x"] names.
func reference(t hcl.Traversal) (root, name string, ok bool) {
	root = t.RootName()
	if len(t) != 2 || root != "secret" && root != "env" {
		return "", "", false
	}
	switch step := t[1].(type) {
	case hcl.TraverseAttr:
		return root, step.Name, true
	case hcl.TraverseIndex:
		if step.Key.Type() == cty.String {
			return root, step.Key.AsString(), true
		}
	}
	return "", "", false
}

func problem(summary, detail string, at hcl.Range) *hcl.Diagnostic {
	return &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Detail: detail, Subject: &at}
}

// evaluation is what an argument is evaluated with.
func evaluation(secrets, env cty.Value) *hcl.EvalContext {
	return &hcl.EvalContext{Variables: map[string]cty.Value{"secret": secrets, "env": env}}
}

// text is an argument that needs no secrets; "" where there is none.
func (b *Block) text(name string, secrets, env cty.Value) (string, error) {
	if b.exprs[name] == nil {
		return "", nil
	}
	v, diags := b.exprs[name].Value(evaluation(secrets, env))
	if diags.HasErrors() || v.IsNull() || !v.IsKnown() || v.Type() != cty.String {
		return "", fmt.Errorf("it isn't known")
	}
	return v.AsString(), nil
}
