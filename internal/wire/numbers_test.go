package wire

import (
	"reflect"
	"strings"
	"testing"
)

// Two fields of one number are both left out, without a word.
func TestEachFieldHasANumberOfItsOwn(t *testing.T) {
	seen := map[reflect.Type]bool{}
	var look func(typ reflect.Type)
	look = func(typ reflect.Type) {
		for typ.Kind() == reflect.Pointer || typ.Kind() == reflect.Slice || typ.Kind() == reflect.Map {
			typ = typ.Elem()
		}
		if typ.Kind() != reflect.Struct || seen[typ] || !strings.HasPrefix(typ.PkgPath(), "muster/") {
			return
		}
		seen[typ] = true
		numbers := map[string]string{}
		for i := range typ.NumField() {
			f := typ.Field(i)
			number, _, _ := strings.Cut(f.Tag.Get("cbor"), ",")
			if other := numbers[number]; other != "" && number != "" && number != "-" {
				t.Errorf("%s.%s and %s have the number %s", typ, other, f.Name, number)
			}
			numbers[number] = f.Name
			look(f.Type)
		}
	}
	look(reflect.TypeFor[Message]())
	if len(seen) < 20 {
		t.Errorf("only %d types were looked at", len(seen))
	}
}
