package host

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"unicode/utf8"
)

// Marshal is json.Marshal that keeps every byte. Effects and changes are encoded
// with it: names of files, targets of links and comments of accounts are bytes on a
// host, JSON's strings are UTF-8. A string that isn't becomes exactMark and its
// base64.
func Marshal(value any) (json.RawMessage, error) {
	data, err := json.Marshal(value)
	// encoding/json writes this escape for bytes that are no UTF-8, and for nothing else.
	if err != nil || !bytes.Contains(data, []byte(`\ufffd`)) && !bytes.Contains(data, []byte(markInJSON)) {
		return data, err
	}
	v := reflect.New(reflect.TypeOf(value)).Elem()
	v.Set(reflect.ValueOf(value))
	eachString(v, func(s string) string {
		if utf8.ValidString(s) && !strings.HasPrefix(s, exactMark) {
			return s
		}
		return exactMark + base64.StdEncoding.EncodeToString([]byte(s))
	})
	return json.Marshal(v.Interface())
}

// Unmarshal is the inverse of Marshal; into is a pointer.
func Unmarshal(data []byte, into any) error {
	if err := json.Unmarshal(data, into); err != nil || !bytes.Contains(data, []byte(markInJSON)) {
		return err
	}
	eachString(reflect.ValueOf(into).Elem(), func(s string) string {
		coded, marked := strings.CutPrefix(s, exactMark)
		if b, err := base64.StdEncoding.DecodeString(coded); marked && err == nil {
			return string(b)
		}
		return s
	})
	return nil
}

// exactMark begins an encoded string: no path holds it.
const (
	exactMark  = "\x00"
	markInJSON = `"\u0000`
)

// eachString replaces every string that encoding/json would find in v, which is
// addressable. What v points to is copied first: others may hold it.
func eachString(v reflect.Value, f func(string) string) {
	switch v.Kind() {
	case reflect.String:
		v.SetString(f(v.String()))
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() || field.Anonymous && field.Type.Kind() == reflect.Struct {
				eachString(v.Field(i), f)
			}
		}
	case reflect.Pointer, reflect.Interface:
		if v.IsNil() {
			return
		}
		whole := reflect.New(v.Elem().Type())
		whole.Elem().Set(v.Elem())
		eachString(whole.Elem(), f)
		if v.Kind() == reflect.Interface {
			whole = whole.Elem()
		}
		v.Set(whole)
	case reflect.Slice:
		if v.IsNil() || v.Type().Elem().Kind() == reflect.Uint8 {
			return
		}
		list := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
		reflect.Copy(list, v)
		for i := range list.Len() {
			eachString(list.Index(i), f)
		}
		v.Set(list)
	case reflect.Array:
		for i := range v.Len() {
			eachString(v.Index(i), f)
		}
	case reflect.Map:
		if v.IsNil() {
			return
		}
		m := reflect.MakeMapWithSize(v.Type(), v.Len())
		for key, value := range v.Seq2() {
			k, e := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
			k.Set(key)
			e.Set(value)
			eachString(k, f)
			eachString(e, f)
			m.SetMapIndex(k, e)
		}
		v.Set(m)
	}
}
