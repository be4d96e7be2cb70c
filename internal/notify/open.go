package notify

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	"github.com/zclconf/go-cty/cty"

	"muster/secret"
)

// Values are where blocks get what isn't in them.
type Values struct {
	Secret func(name string) (string, error)
	Env    func(name string) (string, bool)
	Dir    string // of the project: files are named from there
}

// read is what secret["name"] or env["name"] stands for.
func (v *Values) read(root, name string) (string, error) {
	if root == "env" {
		text, set := v.Env(name)
		if !set {
			return "", fmt.Errorf("the environment has no %s", name)
		}
		return text, nil
	}
	text, err := v.Secret(name)
	if err != nil {
		return "", fmt.Errorf("reading the secret %q: %w", name, err)
	}
	return text, nil
}

// Receiver is a block that messages can be sent to.
type Receiver struct {
	*Block
	private secret.Redactor
	send    func(context.Context, *Message) error
}

// Open reads what a block needs. Its error names no secret.
func (b *Block) Open(v Values) (*Receiver, error) {
	r := &Receiver{Block: b}
	values := map[string]map[string]cty.Value{"secret": {}, "env": {}}
	for _, expr := range b.exprs {
		for _, t := range expr.Variables() {
			root, name, _ := reference(t)
			text, err := v.read(root, name)
			if err != nil {
				return nil, err
			}
			r.private.Add(text)
			values[root][name] = cty.StringVal(text)
		}
	}
	got := map[string]string{}
	var to []string
	for _, f := range kinds()[b.Kind] {
		if b.exprs[f.name] == nil {
			continue
		}
		list, err := b.texts(f, cty.ObjectVal(values["secret"]), cty.ObjectVal(values["env"]))
		if err != nil {
			return nil, fmt.Errorf("%s: %w", f.name, err)
		}
		if f.list {
			to = list
			continue
		}
		got[f.name] = list[0]
		if f.private {
			r.private.Add(list[0])
		}
	}
	config, err := trusting(v.Dir, got["ca"])
	if err != nil {
		return nil, err
	}
	if b.Kind == "email" {
		r.send = (&email{server: got["server"], from: got["from"], to: to, username: got["username"], password: got["password"], mode: got["tls"], tls: config}).send
		return r, nil
	}
	u, err := url.Parse(got["url"])
	if err != nil {
		return nil, errors.New("url: it isn't an address")
	}
	r.private.Add(u.RawQuery)
	if password, set := u.User.Password(); set {
		r.private.Add(password)
	}
	if b.Kind == "slack" {
		r.private.Add(u.Path)
	}
	r.send = newHook(b.Kind, u, got["secret"], config).send
	return r, nil
}

// texts evaluates an argument.
func (b *Block) texts(f field, secrets, env cty.Value) ([]string, error) {
	v, diags := b.exprs[f.name].Value(evaluation(secrets, env))
	if diags.HasErrors() {
		return nil, errors.New(diags[0].Summary)
	}
	list, err := texts(f, v)
	if err == nil && len(list) == 0 {
		err = errors.New("it isn't known")
	}
	return list, err
}

// trusting is a configuration of TLS; a file of certificates takes the place of the system's.
func trusting(dir, file string) (*tls.Config, error) {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if file == "" {
		return c, nil
	}
	if !filepath.IsAbs(file) {
		file = filepath.Join(dir, file)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("ca: %w", err)
	}
	if c.RootCAs = x509.NewCertPool(); !c.RootCAs.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("ca: %s has no certificate", file)
	}
	return c, nil
}
