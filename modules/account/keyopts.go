package account

import (
	"fmt"
	"strconv"
	"strings"

	"muster/modules"
)

// What sshd makes of the options before a key: sshd(8), AUTHORIZED_KEYS FILE
// FORMAT, and sshauthopt_parse in OpenSSH's auth-options.c (9.1 and later). One
// option that it can't read makes it refuse the whole line, and so the key.

// flagOptions are the options without a value; true may have "no-" before it.
func flagOptions() map[string]bool {
	return map[string]bool{
		"restrict": false, "cert-authority": false, "port-forwarding": true, "agent-forwarding": true, "x11-forwarding": true,
		"touch-required": true, "verify-required": true, "pty": true, "user-rc": true,
	}
}

// valueOptions are the options with a value, and what checks it. A nil one
// takes any text.
func valueOptions() map[string]func(*keyOptions, string) error {
	return map[string]func(*keyOptions, string) error{
		"command":      nil,
		"principals":   (*keyOptions).principals,
		"from":         func(_ *keyOptions, s string) error { return checkFrom(s) },
		"expiry-time":  func(_ *keyOptions, s string) error { return checkExpiry(s) },
		"environment":  func(_ *keyOptions, s string) error { return checkEnvironment(s) },
		"permitopen":   func(o *keyOptions, s string) error { return o.permit(s, false) },
		"permitlisten": func(o *keyOptions, s string) error { return o.permit(s, true) },
		"tunnel":       func(_ *keyOptions, s string) error { return checkTunnel(s) },
	}
}

// onceOptions are those that may stand only once.
func onceOptions() []string { return []string{"command", "principals", "from"} }

// How often sshd takes an option that may stand several times
// (SSH_AUTHOPT_PERMIT_MAX and SSH_AUTHOPT_ENV_MAX).
const (
	permitMost      = 4096
	environmentMost = 1024
)

// keyOptions is what counts of the options of a key.
type keyOptions struct {
	authority bool           // the key signs certificates, and lets nobody in itself
	listed    bool           // principals are named
	services  []string       // ports by name: which number that is, the host knows
	times     map[string]int // how often each option stands
}

// optionError is an option that sshd doesn't take.
type optionError struct {
	text string
	hint string
}

func (e *optionError) Error() string { return e.text }

func wrongOption(format string, a ...any) error {
	return &optionError{text: fmt.Sprintf(format, a...)}
}

// readOptions reads options as they stand before a key, without the space
// after them. The error is why sshd would refuse the key, an *optionError.
func readOptions(s string) (keyOptions, error) {
	o := keyOptions{times: map[string]int{}}
	for s != "" {
		if s[0] == ',' { // sshd takes an option of no letters for none
			s = s[1:]
			continue
		}
		var err error
		if s, err = o.option(s); err != nil {
			return o, err
		}
	}
	if o.listed && !o.authority {
		return o, wrongOption(`"principals" goes with "cert-authority" alone: sshd refuses any other key that has it`)
	}
	return o, nil
}

// option reads the first option and returns the rest.
func (o *keyOptions) option(s string) (rest string, err error) {
	name, rest := s, ""
	if i := strings.IndexAny(s, `,="`); i >= 0 {
		name, rest = s[:i], s[i:]
	}
	known := strings.ToLower(name)
	flags, values := flagOptions(), valueOptions()
	plain, negated := strings.CutPrefix(known, "no-")
	if negatable, flag := flags[plain]; flag && (!negated || negatable) {
		o.times[known]++
		o.authority = o.authority || plain == "cert-authority"
		if rest != "" && rest[0] != ',' {
			return "", wrongOption("%s takes no value", name)
		}
		return rest, nil
	}
	check, valued := values[known]
	if !valued {
		return "", unknownOption(name)
	}
	if !strings.HasPrefix(rest, `="`) {
		return "", wrongOption(`%s needs a value in double quotes: %s="…"`, name, known)
	}
	value, rest, ok := dequote(rest[2:])
	if !ok {
		return "", wrongOption("the quotes of %s don't end", name)
	}
	if rest != "" && rest[0] != ',' {
		return "", wrongOption("a comma has to stand after the value of %s, not %q", name, rest)
	}
	if o.times[known]++; o.times[known] > 1 {
		for _, once := range onceOptions() {
			if once == known {
				return "", wrongOption("%s stands twice", name)
			}
		}
	}
	if o.times[known] > permitMost || known == "environment" && o.times[known] > environmentMost {
		return "", wrongOption("%s stands more often than sshd takes it", name)
	}
	if check != nil {
		if err := check(o, value); err != nil {
			return "", fmt.Errorf("the value of %s: %w", known, err)
		}
	}
	return rest, nil
}

// dequote reads up to the quote that ends a value. A backslash counts before a
// quote alone.
func dequote(s string) (value, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return b.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '"':
			i++
		}
		b.WriteByte(s[i])
	}
	return "", "", false
}

// unknownOption names the option that was probably meant.
func unknownOption(name string) error {
	e := &optionError{text: fmt.Sprintf("%q is no option that sshd knows", name)}
	var all []string
	for flag, negatable := range flagOptions() {
		all = append(all, flag)
		if negatable {
			all = append(all, "no-"+flag)
		}
	}
	for value := range valueOptions() {
		all = append(all, value)
	}
	if near := modules.Nearest(strings.ToLower(name), all); near != "" {
		e.hint = fmt.Sprintf("Did you mean %q?", near)
	}
	return e
}

func (o *keyOptions) principals(list string) error {
	o.listed = true
	for _, p := range strings.Split(list, ",") {
		if p == "" {
			return wrongOption("%q has an empty name: sshd reads no further than that", list)
		}
	}
	return nil
}

// permit checks HOST:PORT of permitopen and permitlisten; the latter may be a
// port alone. Names of hosts aren't looked up, those of ports are.
func (o *keyOptions) permit(s string, bare bool) error {
	if bare && !strings.Contains(s, ":") {
		s = "*:" + s
	}
	at := strings.IndexAny(s, ":/")
	if strings.HasPrefix(s, "[") {
		at = strings.IndexByte(s, ']') + 1
		if at == 0 || at < len(s) && s[at] != ':' && s[at] != '/' {
			return wrongOption("%q is no host and port: [ADDRESS]:PORT", s)
		}
	}
	if at < 0 || at >= len(s) {
		return wrongOption("%q names no port: HOST:PORT", s)
	}
	if at >= maxHost {
		return wrongOption("the host is longer than %d characters", maxHost)
	}
	port := s[at+1:]
	if port == "*" {
		return nil
	}
	if n, ok := number(port, 65535); ok && n > 0 {
		return nil
	} else if ok || port == "" || strings.Trim(port, "0123456789+-") == "" || strings.ContainsAny(port, " \t:/") {
		return wrongOption("%q is no port: 1 to 65535, or * for all", port)
	}
	o.services = append(o.services, port)
	return nil
}

// maxHost is NI_MAXHOST, beyond which sshd takes no name of a host.
const maxHost = 1025

// number reads a number as strtonum does.
func number(s string, most int64) (n int64, ok bool) {
	n, err := strconv.ParseInt(strings.TrimLeft(s, " \t"), 10, 64)
	return n, err == nil && n >= 0 && n <= most
}

// checkExpiry takes YYYYMMDD, with HHMM or HHMMSS behind it, in the host's time
// zone or, with Z or UTC at the end, in UTC.
func checkExpiry(s string) error {
	digits := s
	for _, zone := range []string{"Z", "UTC"} {
		if cut := len(s) - len(zone); cut > 0 && strings.EqualFold(s[cut:], zone) {
			digits = s[:cut]
			break
		}
	}
	wrong := wrongOption("%q is no time: YYYYMMDD[HHMM[SS]][Z]", s)
	if strings.Trim(digits, "0123456789") != "" || len(digits) != 8 && len(digits) != 12 && len(digits) != 14 {
		return wrong
	}
	for _, part := range []struct{ from, least, most int }{{4, 1, 12}, {6, 1, 31}, {8, 0, 23}, {10, 0, 59}, {12, 0, 61}} {
		if part.from >= len(digits) {
			break
		}
		if n, _ := strconv.Atoi(digits[part.from : part.from+2]); n < part.least || n > part.most {
			return wrong
		}
	}
	if year, _ := strconv.Atoi(digits[:4]); year < 1971 {
		return wrongOption("%q lies before 1971: sshd takes such times for never, or refuses the line", s)
	}
	return nil
}

// checkEnvironment takes NAME=VALUE.
func checkEnvironment(s string) error {
	name, _, ok := strings.Cut(s, "=")
	for _, c := range []byte(name) {
		letter := c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		ok = ok && letter
	}
	if !ok || name == "" {
		return wrongOption("%q isn't NAME=VALUE with a name of letters, digits and _", s)
	}
	return nil
}

// maxTunnel is SSH_TUNID_MAX.
const maxTunnel = 1<<31 - 3

// checkTunnel takes the number of a tun device.
func checkTunnel(s string) error {
	if _, ok := number(s, maxTunnel); !ok && !strings.EqualFold(s, "any") {
		return wrongOption("%q is no number of a tun device, nor any", s)
	}
	return nil
}
