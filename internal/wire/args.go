package wire

import (
	"muster/modules"
	"muster/secret"
)

// Args are a task's arguments, as modules.Decode takes them. Secrets among them are of
// types that encode nothing of themselves: they travel as sealed, and only here.
type Args map[string]any

// sealed and sealedVersions are secret.String and modules.Versions on the wire.
type (
	sealed         string
	sealedVersions struct {
		Use   string   `cbor:"1,keyasint"`
		Valid []string `cbor:"2,keyasint"`
	}
)

// MarshalCBOR encodes them with their secrets.
func (a Args) MarshalCBOR() ([]byte, error) {
	return modes().enc.Marshal(swapped(map[string]any(a), seal))
}

// UnmarshalCBOR decodes them.
func (a *Args) UnmarshalCBOR(data []byte) error {
	var m map[string]any
	if err := modes().dec.Unmarshal(data, &m); err != nil {
		return err
	}
	*a, _ = swapped(m, unseal).(map[string]any)
	return nil
}

func seal(value any) (any, bool) {
	switch x := value.(type) {
	case secret.String:
		return sealed(x.Reveal()), true
	case modules.Versions:
		v := sealedVersions{Use: x.Use.Reveal()}
		for _, s := range x.Valid {
			v.Valid = append(v.Valid, s.Reveal())
		}
		return v, true
	}
	return nil, false
}

func unseal(value any) (any, bool) {
	switch x := value.(type) {
	case sealed:
		return secret.New(string(x)), true
	case sealedVersions:
		v := modules.Versions{Use: secret.New(x.Use)}
		for _, s := range x.Valid {
			v.Valid = append(v.Valid, secret.New(s))
		}
		return v, true
	}
	return nil, false
}

// swapped returns a value with what by knows replaced, at any depth. What it is made of
// isn't changed.
func swapped(value any, by func(any) (any, bool)) any {
	if out, ok := by(value); ok {
		return out
	}
	switch x := value.(type) {
	case []any:
		out := make([]any, len(x))
		for i, e := range x {
			out[i] = swapped(e, by)
		}
		return out
	case map[string]any:
		if x == nil {
			return x
		}
		out := make(map[string]any, len(x))
		for k, e := range x {
			out[k] = swapped(e, by)
		}
		return out
	}
	return value
}
