package funcs

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"net/url"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
	textenc "golang.org/x/text/encoding"
	"golang.org/x/text/encoding/ianaindex"
)

var base64Gzip = onStrings(cty.String, []string{"text"}, func(a []string) (cty.Value, error) {
	var b bytes.Buffer
	w := gzip.NewWriter(&b) // without a name and a time, so that the bytes are always the same
	if _, err := w.Write([]byte(a[0])); err != nil {
		return cty.NilVal, err
	}
	if err := w.Close(); err != nil {
		return cty.NilVal, err
	}
	return cty.StringVal(base64.StdEncoding.EncodeToString(b.Bytes())), nil
})

var base64SHA256 = onStrings(cty.String, []string{"text"}, func(a []string) (cty.Value, error) {
	sum := sha256.Sum256([]byte(a[0]))
	return cty.StringVal(base64.StdEncoding.EncodeToString(sum[:])), nil
})

var base64SHA512 = onStrings(cty.String, []string{"text"}, func(a []string) (cty.Value, error) {
	sum := sha512.Sum512([]byte(a[0]))
	return cty.StringVal(base64.StdEncoding.EncodeToString(sum[:])), nil
})

var urlDecode = onStrings(cty.String, []string{"text"}, func(a []string) (cty.Value, error) {
	text, err := url.QueryUnescape(a[0])
	if err != nil {
		return cty.NilVal, function.NewArgErrorf(0, "this is no URL-encoded text")
	}
	if !utf8.ValidString(text) {
		return cty.NilVal, function.NewArgErrorf(0, "the decoded bytes are no UTF-8 text")
	}
	return cty.StringVal(text), nil
})

var textEncodeBase64 = onStrings(cty.String, []string{"text", "encoding"}, func(a []string) (cty.Value, error) {
	enc, err := characters(a[1])
	if err != nil {
		return cty.NilVal, err
	}
	b, err := enc.NewEncoder().Bytes([]byte(a[0]))
	if err != nil {
		return cty.NilVal, function.NewArgErrorf(0, "it has characters that %s can't write", a[1])
	}
	return cty.StringVal(base64.StdEncoding.EncodeToString(b)), nil
})

var textDecodeBase64 = onStrings(cty.String, []string{"text", "encoding"}, func(a []string) (cty.Value, error) {
	enc, err := characters(a[1])
	if err != nil {
		return cty.NilVal, err
	}
	b, err := base64.StdEncoding.DecodeString(a[0])
	if err != nil {
		return cty.NilVal, function.NewArgErrorf(0, "this is no Base64")
	}
	b, err = enc.NewDecoder().Bytes(b)
	if err != nil || bytes.ContainsRune(b, utf8.RuneError) {
		return cty.NilVal, function.NewArgErrorf(0, "it holds bytes that aren't %s", a[1])
	}
	return cty.StringVal(string(b)), nil
})

// characters returns a character encoding by its IANA name.
func characters(name string) (textenc.Encoding, error) {
	enc, err := ianaindex.IANA.Encoding(name)
	if err != nil || enc == nil {
		return nil, function.NewArgErrorf(1, "%q is no character encoding known here; names are those of IANA, such as \"UTF-16LE\"", name)
	}
	return enc, nil
}
