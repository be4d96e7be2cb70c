package funcs

import (
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// onStrings is a function of strings alone.
func onStrings(result cty.Type, params []string, impl func(args []string) (cty.Value, error)) function.Function {
	spec := &function.Spec{
		Type: function.StaticReturnType(result),
		Impl: func(args []cty.Value, _ cty.Type) (cty.Value, error) {
			plain := make([]string, len(args))
			for i, a := range args {
				plain[i] = a.AsString()
			}
			return impl(plain)
		},
		RefineResult: func(b *cty.RefinementBuilder) *cty.RefinementBuilder { return b.NotNull() },
	}
	for _, p := range params {
		spec.Params = append(spec.Params, function.Parameter{Name: p, Type: cty.String})
	}
	return function.New(spec)
}

var startsWith = onStrings(cty.Bool, []string{"text", "prefix"}, func(a []string) (cty.Value, error) {
	return cty.BoolVal(strings.HasPrefix(a[0], a[1])), nil
})

var endsWith = onStrings(cty.Bool, []string{"text", "suffix"}, func(a []string) (cty.Value, error) {
	return cty.BoolVal(strings.HasSuffix(a[0], a[1])), nil
})

var strContains = onStrings(cty.Bool, []string{"text", "part"}, func(a []string) (cty.Value, error) {
	return cty.BoolVal(strings.Contains(a[0], a[1])), nil
})

var replace = onStrings(cty.String, []string{"text", "old", "new"}, func(a []string) (cty.Value, error) {
	text, old, with := a[0], a[1], a[2]
	if len(old) > 1 && old[0] == '/' && old[len(old)-1] == '/' {
		re, err := regexp.Compile(old[1 : len(old)-1])
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(1, "%s", err)
		}
		return cty.StringVal(re.ReplaceAllString(text, with)), nil
	}
	return cty.StringVal(strings.ReplaceAll(text, old, with)), nil
})

var timeCmp = onStrings(cty.Number, []string{"a", "b"}, func(a []string) (cty.Value, error) {
	var times [2]time.Time
	for i, text := range a {
		t, err := time.Parse(time.RFC3339, text)
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(i, "%q is no RFC 3339 time such as \"2024-05-01T12:00:00Z\"", text)
		}
		times[i] = t
	}
	return cty.NumberIntVal(int64(times[0].Compare(times[1]))), nil
})

var cidrContains = onStrings(cty.Bool, []string{"prefix", "address"}, func(a []string) (cty.Value, error) {
	outer, err := netip.ParsePrefix(a[0])
	if err != nil {
		return cty.NilVal, function.NewArgErrorf(0, "%q is no network such as \"10.0.0.0/8\"", a[0])
	}
	inner, err := netip.ParsePrefix(a[1])
	if err != nil {
		addr, err := netip.ParseAddr(a[1])
		if err != nil {
			return cty.NilVal, function.NewArgErrorf(1, "%q is neither an address nor a network", a[1])
		}
		inner = netip.PrefixFrom(addr, addr.BitLen())
	}
	if outer.Addr().Is4() != inner.Addr().Is4() {
		return cty.NilVal, fmt.Errorf("one is IPv4 and the other IPv6")
	}
	return cty.BoolVal(outer.Bits() <= inner.Bits() && outer.Contains(inner.Addr())), nil
})
