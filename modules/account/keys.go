package account

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"unicode"

	"muster/secret"
)

// publicKey is a line of authorized_keys (sshd(8), AUTHORIZED_KEYS FILE
// FORMAT): options, if any, the key's type, the key, a comment.
type publicKey struct {
	options string
	kind    string
	blob    string // base64, as written
	comment string
}

// String is the line.
func (k publicKey) String() string {
	s := k.kind + " " + k.blob
	if k.options != "" {
		s = k.options + " " + s
	}
	if k.comment != "" {
		s += " " + k.comment
	}
	return s
}

// same reports whether two lines are about one key, whatever their options.
func (k publicKey) same(other publicKey) bool { return k.kind == other.kind && k.blob == other.blob }

var errNoKey = errors.New(`it is no public key: write "ssh-ed25519 AAAA… comment", as in a .pub file`)

// parseKey reads a line that holds a key.
func parseKey(line string) (publicKey, error) {
	rest := strings.TrimSpace(line)
	if strings.Contains(rest, "PRIVATE KEY") {
		return publicKey{}, errors.New("it is a private key: give the public one, from the .pub file; a private key that was written here should no longer be used")
	}
	var k publicKey
	kind, after, _ := cutSpace(rest)
	if !keyType(kind) {
		if k.options, rest = cutOptions(rest); k.options == "" {
			return k, errNoKey
		}
		if kind, after, _ = cutSpace(rest); !keyType(kind) {
			return k, errNoKey
		}
	}
	k.kind = kind
	k.blob, k.comment, _ = cutSpace(after)
	k.comment = strings.TrimSpace(k.comment)
	data, err := base64.StdEncoding.DecodeString(k.blob)
	if err != nil {
		return k, fmt.Errorf("the part after %q is cut or damaged (%w)", kind, err)
	}
	// The key itself is a row of texts, each after its length; the first is
	// the type (RFC 4253, section 6.6). Certificates hold numbers too.
	var texts []int // lengths
	for len(data) > 0 || len(texts) < 2 {
		if len(data) < 4 || uint64(len(data)-4) < uint64(binary.BigEndian.Uint32(data)) {
			return k, fmt.Errorf("the part after %q is cut or damaged", kind)
		}
		length := binary.BigEndian.Uint32(data)
		if len(texts) == 0 && string(data[4:4+length]) != kind {
			return k, fmt.Errorf("the key isn't of the type %q that stands before it", kind)
		}
		texts = append(texts, int(length))
		if data = data[4+length:]; k.certificate() {
			return k, nil
		}
	}
	short := (kind == "ssh-ed25519" || kind == "sk-ssh-ed25519@openssh.com") && texts[1] != 32
	if short || len(texts) != keyTexts()[kind] {
		return k, fmt.Errorf("the part after %q is cut or damaged", kind)
	}
	return k, nil
}

// withheld is a line of a file of keys without its key, its options or both. Of
// a line that can't be read nothing stays.
func withheld(line string, options, key bool) string {
	k, err := parseKey(line)
	if err != nil || key && options {
		return secret.Hidden
	}
	if options && k.options != "" {
		k.options = secret.Hidden
	}
	if key {
		return strings.TrimSpace(k.options + " " + secret.Hidden)
	}
	return k.String()
}

// certificate reports whether this is a key with its signer's word.
func (k publicKey) certificate() bool { return strings.Contains(k.kind, "-cert-") }

// usable returns why sshd lets nobody in by such a line.
func (k publicKey) usable() error {
	if k.certificate() {
		return errors.New(`it is a certificate, which sshd passes over in a file of keys: give the plain key, or the key that signs certificates with cert-authority before it`)
	}
	if strings.IndexFunc(k.String(), func(c rune) bool { return c != '\t' && unicode.IsControl(c) }) >= 0 {
		return errors.New("it holds a control character, where sshd may stop reading: write the key anew")
	}
	return nil
}

// short is the key as a message shows it.
func (k publicKey) short() string {
	if len(k.blob) > 12 {
		return k.kind + " …" + k.blob[len(k.blob)-12:]
	}
	return k.kind + " " + k.blob
}

// withOptions says which options the key has.
func (k publicKey) withOptions() string {
	if k.options == "" {
		return "without options"
	}
	return "with " + k.options
}

func cutSpace(s string) (before, after string, found bool) {
	i := strings.IndexAny(s, " \t")
	if i < 0 {
		return s, "", false
	}
	return s[:i], strings.TrimLeft(s[i:], " \t"), true
}

// keyTexts are the types of keys that sshd takes, with the number of texts that
// such a key is made of.
func keyTexts() map[string]int {
	return map[string]int{
		"ssh-ed25519": 2, "ssh-rsa": 3, "ssh-dss": 5,
		"ecdsa-sha2-nistp256": 3, "ecdsa-sha2-nistp384": 3, "ecdsa-sha2-nistp521": 3,
		"sk-ssh-ed25519@openssh.com": 3, "sk-ecdsa-sha2-nistp256@openssh.com": 4,
		"ssh-mldsa44-ed25519@openssh.com": 2, // since OpenSSH 10.5
	}
}

// keyType reports whether s is the type of a key, or of a certificate.
func keyType(s string) bool {
	plain, domain, _ := strings.Cut(strings.Replace(s, "-cert-v01@", "@", 1), "@")
	_, known := keyTexts()[plain]
	_, qualified := keyTexts()[plain+"@"+domain]
	return qualified || known && (domain == "" || domain == "openssh.com" && strings.Contains(s, "-cert-"))
}

// cutOptions splits options from the rest: they end at the first space outside
// double quotes, in which a backslash keeps a quote.
func cutOptions(s string) (options, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '"':
			i++
		case s[i] == '"':
			quoted = !quoted
		case !quoted && (s[i] == ' ' || s[i] == '\t'):
			return s[:i], strings.TrimLeft(s[i:], " \t")
		}
	}
	return "", s
}

// wish is what a task wants of the keys in a file.
type wish struct {
	keys      []publicKey
	options   *string // of all of them; nil: as the key says, or as it stands
	absent    bool
	exclusive bool
}

// apply returns the content with the wish fulfilled, and the lines of the keys
// in it. What it isn't about is kept to the byte: comments, other keys, the ends
// of lines.
func (w wish) apply(content string) (after string, lines []publicKey) {
	var b strings.Builder
	done := make([]bool, len(w.keys))
	for line := range strings.Lines(content) {
		text := strings.TrimRight(line, "\r\n")
		end := line[len(text):]
		trimmed := strings.TrimSpace(text)
		if trimmed == "" || trimmed[0] == '#' {
			b.WriteString(line)
			continue
		}
		k, err := parseKey(text)
		i := -1
		for n := range w.keys {
			if err == nil && w.keys[n].same(k) {
				i = n
			}
		}
		switch {
		case i < 0 && !w.exclusive:
			b.WriteString(line)
		case i < 0, w.absent: // another key, or one to go
		case done[i]:
			// sshd tries the second line where the first one's options don't
			// let the key in: it stays, unless options are asked for.
			if !w.exclusive && w.options == nil && w.keys[i].options == "" {
				b.WriteString(line)
				lines = append(lines, k)
			}
		default:
			done[i] = true
			want := w.merge(w.keys[i], k)
			if want != k {
				text = want.String()
			}
			b.WriteString(text + end)
			lines = append(lines, want)
		}
	}
	if w.absent {
		return b.String(), nil
	}
	for i, k := range w.keys {
		if done[i] {
			continue
		}
		if s := b.String(); s != "" && !strings.HasSuffix(s, "\n") {
			b.WriteString("\n")
		}
		k = w.merge(k, publicKey{})
		b.WriteString(k.String() + "\n")
		lines = append(lines, k)
	}
	return b.String(), lines
}

// merge is a wanted key beside the one that stands there: options and comment
// that the task doesn't give are kept.
func (w wish) merge(want, there publicKey) publicKey {
	switch {
	case w.options != nil:
		want.options = *w.options
	case want.options == "":
		want.options = there.options
	}
	if want.comment == "" {
		want.comment = there.comment
	}
	return want
}
