// Package secret keeps secrets from being shown.
package secret

// Hidden is what stands where a secret would.
const Hidden = "(sensitive)"

// String is a secret that never prints itself, whatever verb or encoder is used.
type String struct{ value string }

// New returns the secret s.
func New(s string) String { return String{s} }

// Reveal returns the secret itself: for the one place that needs it.
func (s String) Reveal() string { return s.value }

// String returns Hidden.
func (String) String() string { return Hidden }

// GoString returns Hidden.
func (String) GoString() string { return Hidden }

// MarshalText returns Hidden: a secret is never encoded by accident.
func (String) MarshalText() ([]byte, error) { return []byte(Hidden), nil }
