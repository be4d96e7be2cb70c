package openssh

import (
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// keyOf returns a key as lines of known_hosts hold it: its type and its bytes, without a
// comment.
func keyOf(text string) (string, error) {
	fields := strings.Fields(text)
	switch {
	case strings.ContainsAny(text, "\n\r\x00"):
		return "", errors.New("a key is one line")
	case len(fields) < 2:
		return "", errors.New(`it takes the type and the key, such as "ssh-ed25519 AAAA…"`)
	case strings.HasPrefix(fields[0], "@"):
		return "", errors.New("lines that begin with a marker aren't written: keep them in the file by a task \"line\"")
	case len(fields) > 2 && keyType(fields[2]) == fields[1]:
		return "", fmt.Errorf("leave out the name %q before it", fields[0])
	case strings.Contains(fields[0], "-cert-v01@"):
		return "", errors.New("it is a certificate, which the host itself shows; ssh knows it by its authority")
	case keyType(fields[1]) != fields[0]:
		return "", fmt.Errorf("what follows %q isn't the base64 of a key of that type", fields[0])
	}
	return fields[0] + " " + fields[1], nil
}

// keyType is the type that a key's bytes name, "" where they are no key: RFC 4253, section
// 6.6, has each part of a key behind its length.
func keyType(encoded string) (typ string) {
	rest, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return ""
	}
	for parts := 0; len(rest) > 0; parts++ {
		if len(rest) < 4 {
			return ""
		}
		n := uint64(binary.BigEndian.Uint32(rest))
		if rest = rest[4:]; n > uint64(len(rest)) {
			return ""
		}
		if parts == 0 {
			typ = string(rest[:n])
		}
		rest = rest[n:]
	}
	return typ
}

// known is a line of the file: with a marker, the names it is for, and a key. One that is
// blank, a comment or wrong has no names.
type known struct {
	raw    string
	marker string
	names  string
	key    string
}

func parseKnown(raw string) known {
	k := known{raw: raw}
	f := strings.Fields(raw)
	if len(f) > 0 && strings.HasPrefix(f[0], "@") {
		k.marker, f = f[0], f[1:]
	}
	if len(f) < 3 || strings.HasPrefix(f[0], "#") || keyType(f[2]) == "" {
		return known{raw: raw}
	}
	k.names, k.key = f[0], f[1]+" "+f[2]
	return k
}

// has reports whether the line is for a host by its name, not by a pattern.
func (k known) has(name string) bool {
	if strings.HasPrefix(k.names, "|1|") {
		salt, sum, _ := strings.Cut(k.names[3:], "|")
		s, err := base64.StdEncoding.DecodeString(salt)
		return err == nil && sum == hashOf(s, name)
	}
	return slices.ContainsFunc(strings.Split(k.names, ","), func(n string) bool { return strings.EqualFold(n, name) })
}

// without is the line without a host: nothing where it is for that host alone.
func (k known) without(name string) string {
	if strings.HasPrefix(k.names, "|1|") {
		return ""
	}
	rest := slices.DeleteFunc(strings.Split(k.names, ","), func(n string) bool { return strings.EqualFold(n, name) })
	// What only excludes lets nobody match, so that such a line says nothing.
	if !slices.ContainsFunc(rest, func(n string) bool { return n != "" && !strings.HasPrefix(n, "!") }) {
		return ""
	}
	at := strings.Index(k.raw, k.names)
	return k.raw[:at] + strings.Join(rest, ",") + k.raw[at+len(k.names):]
}

// hashOf is a name as HashKnownHosts of ssh_config(5) has it.
func hashOf(salt []byte, name string) string {
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(name))
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// hashed is the names of a line in that form. The salt is the same each time, since a plan
// has to be, and another one for each host, key and machine.
func hashed(name, key string, pepper []byte) string {
	mac := hmac.New(sha1.New, pepper)
	mac.Write([]byte(name + "\x00" + key))
	salt := mac.Sum(nil)
	return "|1|" + base64.StdEncoding.EncodeToString(salt) + "|" + hashOf(salt, name)
}

// edit returns the file's text with the host's lines as they should be.
func (k *KnownHosts) edit(old string, pepper []byte) (string, error) {
	var missing []string
	for _, text := range k.Keys {
		key, err := keyOf(text)
		if err != nil {
			return "", err
		}
		missing = append(missing, key)
	}
	name, absent := k.line(), k.State == "absent"
	wanted := missing
	var out strings.Builder
	number := 0
	for raw := range strings.Lines(old) {
		number++
		l := parseKnown(raw)
		switch {
		case l.marker == "@revoked" && !absent && slices.Contains(wanted, l.key) && (l.has(name) || l.has("*")):
			return "", fmt.Errorf("line %d revokes the key %.40s… for %s, and ssh then refuses it: take it out of the task, or the line out of the file", number, l.key, name)
		case l.marker != "" || !l.has(name):
			out.WriteString(raw)
		case absent && (len(wanted) == 0 || slices.Contains(wanted, l.key)):
			out.WriteString(l.without(name))
		case absent:
			out.WriteString(raw)
		case slices.Contains(missing, l.key):
			missing = slices.DeleteFunc(slices.Clone(missing), func(key string) bool { return key == l.key })
			out.WriteString(raw)
		default: // another key, or the same one twice
			out.WriteString(l.without(name))
		}
	}
	text := out.String()
	if absent || len(missing) == 0 {
		return text, nil
	}
	if text != "" && !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	for _, key := range missing {
		names := name
		if k.Hash {
			names = hashed(name, key, pepper)
		}
		text += names + " " + key + "\n"
	}
	return text, nil
}
