package inventory

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/zclconf/go-cty/cty"
)

// maxDepth is how deep values that are written may lie in each other; with
// the braces around them it stays below hclguard.MaxNesting.
const maxDepth = 150

// writeHCL writes a value as the expression of a constant. Keys of objects are
// always quoted: bare, "for" would begin something else.
func writeHCL(b *bytes.Buffer, v cty.Value, depth int) error {
	switch {
	case depth > maxDepth:
		return fmt.Errorf("its value is more than %d levels deep", maxDepth)
	case v.IsMarked() || !v.IsKnown():
		return errors.New("its value isn't plain")
	case v.IsNull():
		b.WriteString("null")
		return nil
	}
	switch t := v.Type(); {
	case t == cty.String:
		if !utf8.ValidString(v.AsString()) {
			return errors.New("its text isn't UTF-8")
		}
		b.WriteString(quoteHCL(v.AsString()))
	case t == cty.Number:
		f := v.AsBigFloat()
		if f.IsInf() {
			return errors.New("it is no finite number")
		}
		b.WriteString(f.Text('f', -1))
	case t == cty.Bool:
		fmt.Fprint(b, v.True())
	case t.IsTupleType():
		b.WriteByte('[')
		for it := v.ElementIterator(); it.Next(); {
			_, e := it.Element()
			if err := writeHCL(b, e, depth+1); err != nil {
				return err
			}
			b.WriteString(", ")
		}
		trimComma(b)
		b.WriteByte(']')
	case t.IsObjectType():
		b.WriteByte('{')
		for it := v.ElementIterator(); it.Next(); {
			k, e := it.Element()
			b.WriteString(quoteHCL(k.AsString()) + " = ")
			if err := writeHCL(b, e, depth+1); err != nil {
				return err
			}
			b.WriteString(", ")
		}
		trimComma(b)
		b.WriteByte('}')
	default:
		return fmt.Errorf("HCL has no text for %s", article(t))
	}
	return nil
}

func trimComma(b *bytes.Buffer) {
	if bytes.HasSuffix(b.Bytes(), []byte(", ")) {
		b.Truncate(b.Len() - 2)
	}
}

// quoteHCL writes text as a quoted template that stands for nothing but it.
func quoteHCL(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i, r := range s {
		switch {
		case r == '"' || r == '\\':
			b.WriteByte('\\')
			b.WriteRune(r)
		case r == '\n':
			b.WriteString(`\n`)
		case r == '\r':
			b.WriteString(`\r`)
		case r == '\t':
			b.WriteString(`\t`)
		case (r == '$' || r == '%') && strings.HasPrefix(s[i+1:], "{"):
			b.WriteRune(r)
			b.WriteRune(r)
		case r <= 0xffff && !unicode.IsGraphic(r):
			fmt.Fprintf(&b, `\u%04x`, r)
		case !unicode.IsGraphic(r):
			fmt.Fprintf(&b, `\U%08x`, r)
		default:
			b.WriteRune(r)
		}
	}
	b.WriteByte('"')
	return b.String()
}
