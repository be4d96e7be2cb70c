package ssh

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// knownLine is one line of a known_hosts file (sshd(8), SSH_KNOWN_HOSTS FILE
// FORMAT).
type knownLine struct {
	file   string
	line   int
	marker string   // "", "cert-authority" or "revoked"
	hosts  []string // patterns, or one hash
	key    ssh.PublicKey
}

// at is where the line stands.
func (l knownLine) at() string { return fmt.Sprintf("%s:%d", l.file, l.line) }

// readKnownHosts reads file; a missing one has no lines. What it cannot read is
// told to warn with its line number and skipped.
func readKnownHosts(file string, warn func(string)) ([]knownLine, error) {
	data, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading known hosts: %w", err)
	}
	var lines []knownLine
	s := bufio.NewScanner(bytes.NewReader(data))
	s.Buffer(nil, len(data)+1)
	for n := 1; s.Scan(); n++ {
		text := bytes.TrimSpace(s.Bytes())
		if len(text) == 0 || text[0] == '#' {
			continue
		}
		marker, hosts, key, _, _, err := ssh.ParseKnownHosts(text)
		if err != nil {
			warn(fmt.Sprintf("%s:%d: this line is ignored: not a known_hosts entry (%v)", file, n, err))
			continue
		}
		if marker != "" && marker != "cert-authority" && marker != "revoked" {
			warn(fmt.Sprintf("%s:%d: this line is ignored: unknown marker @%s", file, n, marker))
			continue
		}
		lines = append(lines, knownLine{file: file, line: n, marker: marker, hosts: hosts, key: key})
	}
	return lines, s.Err()
}

// matches reports whether the line is about name, "host" or "[host]:port".
func (l knownLine) matches(name string) bool {
	if len(l.hosts) == 1 && strings.HasPrefix(l.hosts[0], "|1|") {
		return hashMatches(l.hosts[0], name)
	}
	return matchesAny(l.hosts, name)
}

// hashMatches compares with |1|salt|HMAC-SHA1(salt, name), as HashKnownHosts
// writes them.
func hashMatches(hashed, name string) bool {
	parts := strings.Split(hashed, "|")
	if len(parts) != 4 {
		return false
	}
	salt, err1 := base64.StdEncoding.DecodeString(parts[2])
	want, err2 := base64.StdEncoding.DecodeString(parts[3])
	if err1 != nil || err2 != nil {
		return false
	}
	mac := hmac.New(sha1.New, salt)
	mac.Write([]byte(strings.ToLower(name)))
	return hmac.Equal(mac.Sum(nil), want)
}

// knownName is how known_hosts files write a host and port.
func knownName(host string, port int) string {
	if port == 22 {
		return host
	}
	return "[" + host + "]:" + strconv.Itoa(port)
}

// knownHostsLine is a line that makes key known for name.
func knownHostsLine(name string, key ssh.PublicKey) string {
	return name + " " + string(bytes.TrimSpace(ssh.MarshalAuthorizedKey(key))) + "\n"
}

// sameKey reports whether two keys are one.
func sameKey(a, b ssh.PublicKey) bool { return bytes.Equal(a.Marshal(), b.Marshal()) }

// plainKey is the key in a certificate, or the key itself.
func plainKey(key ssh.PublicKey) ssh.PublicKey {
	if cert, ok := key.(*ssh.Certificate); ok {
		return cert.Key
	}
	return key
}
