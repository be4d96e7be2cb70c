package ssh

import (
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"
)

// tokens are ssh_config(5)'s TOKENS of the keywords IdentityFile, CertificateFile and
// IdentityAgent, by their letters. Asked is the name that ssh_config was asked for,
// and alias what HostKeyAlias says, or "".
func (h hop) tokens(home, asked, alias, jump string) map[byte]string {
	long, _ := os.Hostname()
	short, _, _ := strings.Cut(long, ".")
	id := ""
	if u, err := user.Current(); err == nil {
		id = u.Uid
	}
	if alias == "" {
		alias = asked
	}
	port := strconv.Itoa(h.port)
	connection := sha1.Sum([]byte(long + h.host + port + h.user + jump))
	return map[byte]string{
		'%': "%", 'C': hex.EncodeToString(connection[:]), 'd': home, 'h': h.host, 'i': id, 'j': jump, 'k': alias,
		'L': short, 'l': long, 'n': asked, 'p': port, 'r': h.user, 'u': currentUser(),
	}
}

// expand replaces tokens and ${NAME}, environment variables, in a path of ssh_config.
// What they stand for isn't expanded again. An unknown one is an error, for which
// ssh_config(5) has the setting ignored.
func expand(text string, tokens map[byte]string) (string, error) {
	var b strings.Builder
	for rest := text; rest != ""; {
		i := strings.IndexAny(rest, "%$")
		if i < 0 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:i])
		rest = rest[i:]
		switch {
		case rest[0] == '%':
			if len(rest) < 2 || tokens[rest[1]] == "" && !strings.ContainsRune("jLli", rune(rest[1])) {
				return "", fmt.Errorf("%.2q is no token", rest)
			}
			b.WriteString(tokens[rest[1]])
			rest = rest[2:]
		case strings.HasPrefix(rest, "${"):
			name, after, closed := strings.Cut(rest[2:], "}")
			value, set := os.LookupEnv(name)
			switch {
			case !closed:
				return "", fmt.Errorf("${%s has no closing brace", name)
			case !set:
				return "", fmt.Errorf("the environment has no %s", name)
			}
			b.WriteString(value)
			rest = after
		default:
			b.WriteByte('$')
			rest = rest[1:]
		}
	}
	return b.String(), nil
}
