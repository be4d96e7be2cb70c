package funcs

import (
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"

	"muster/internal/keypair"
	"muster/internal/keypair/sshkey"
)

// public is a function of a private key that tells what anybody may know of it: the
// result isn't sensitive where the key is.
func public(name string, impl func(private string) (string, error)) function.Function {
	return function.New(&function.Spec{
		Params: []function.Parameter{{Name: name, Type: cty.String, AllowMarked: true}},
		Type:   function.StaticReturnType(cty.String),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			v, marks := withoutSensitive(args[0])
			text, err := impl(v.AsString())
			if err != nil {
				return cty.NilVal, function.NewArgError(0, err)
			}
			return cty.StringVal(text).WithMarks(marks), nil
		},
		RefineResult: func(b *cty.RefinementBuilder) *cty.RefinementBuilder { return b.NotNull() },
	})
}

var (
	certificateChain       = public("text", keypair.Chain)
	certificateFingerprint = public("text", keypair.Fingerprint)
	sshFingerprint         = public("key", sshkey.Fingerprint)
	sshPublicKey           = public("key", sshkey.Public)
)

var certificateKey = onStrings(cty.String, []string{"text"}, func(a []string) (cty.Value, error) {
	key, err := keypair.Key(a[0])
	if err != nil {
		return cty.NilVal, function.NewArgError(0, err)
	}
	return cty.StringVal(key), nil
})
