package file

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/bcrypt"

	"muster/host"
)

// login is a user of a file, and what logs them in.
type login struct {
	Name   string       `json:"name"`
	Secret host.Content `json:"secret"` // the password, or its bcrypt hash
	secret string       // the same, where it is at hand
}

// loginEdit is what is to become of the users of a file. It says the same of the file as
// it stands while planning, and when the change is made.
type loginEdit struct {
	Users  []login  `json:"users"`
	Whole  bool     `json:"whole,omitempty"` // no others, but for Keep
	Keep   []string `json:"keep,omitempty"`
	Absent bool     `json:"absent,omitempty"` // the users are taken out
	Cost   *int     `json:"cost,omitempty"`
}

// hashes makes hashes, and says whether one fits.
type hashes interface {
	fits(hash string, u login) bool
	of(u login, cost int) (string, error)
}

var bcryptForm = regexp.MustCompile(`^\$2[aby]\$[0-9]{2}\$[./A-Za-z0-9]{53}$`)

// entry reads a line "NAME:HASH", behind which nginx allows a comment. A comment of the
// file has no name, nor has what is no user.
func entry(l textLine) (name, hash, rest string) {
	text := strings.TrimRight(l.text, " \t\r")
	if strings.HasPrefix(strings.TrimSpace(text), "#") {
		return "", "", ""
	}
	name, hash, found := strings.Cut(text, ":")
	if !found {
		return "", "", ""
	}
	if i := strings.IndexByte(hash, ':'); i >= 0 {
		hash, rest = hash[:i], hash[i:]
	}
	return name, hash, rest
}

// comment reports whether a line is one that servers pass over.
func comment(l textLine) bool {
	text := strings.TrimSpace(l.text)
	return text == "" || text[0] == '#'
}

// apply returns the lines with the users as they are to be, and what is done, a line each.
func (e loginEdit) apply(lines []textLine, h hashes) (out []textLine, done []string, err error) {
	seen := map[string]int{}
	for i, l := range lines {
		name, hash, rest := entry(l)
		at := slices.IndexFunc(e.Users, func(u login) bool { return u.Name == name })
		first, again := seen[name]
		switch {
		case name == "" && (!e.Whole || comment(l)), name != "" && at < 0 && (!e.Whole || slices.Contains(e.Keep, name)):
			out = append(out, l)
			continue
		case name == "":
			done = append(done, fmt.Sprintf("line %d: removed, it is no user", i+1))
			continue
		case at < 0, e.Absent:
			done = append(done, name+": removed")
			continue
		case again && !e.Whole:
			return nil, nil, fmt.Errorf("the user %s stands in lines %d and %d, and which of them counts differs between servers: leave one, by hand", name, first, i+1)
		case again:
			done = append(done, name+": removed from another line")
			continue
		}
		seen[name] = i + 1
		u := e.Users[at]
		why := e.unfit(hash, u, h)
		if why == "" {
			out = append(out, l)
			continue
		}
		if hash, err = e.hash(u, h); err != nil {
			return nil, nil, err
		}
		out, done = append(out, textLine{name + ":" + hash + rest, l.end}), append(done, name+": "+why)
	}
	for _, u := range e.Users {
		if seen[u.Name] > 0 || e.Absent {
			continue
		}
		hash, err := e.hash(u, h)
		if err != nil {
			return nil, nil, err
		}
		out, done = insert(out, len(out), []string{u.Name + ":" + hash}), append(done, u.Name+": added")
	}
	return out, done, nil
}

// unfit is what is to be done about a hash, "" where it stays.
func (e loginEdit) unfit(hash string, u login, h hashes) string {
	if !bcryptForm.MatchString(hash) && !strings.HasPrefix(hash, toCome) {
		form := "of no form that is known"
		switch {
		case strings.HasPrefix(hash, "$apr1$"):
			form = "of the form $apr1$"
		case strings.HasPrefix(hash, "{SHA}"):
			form = "of the form {SHA}"
		case strings.HasPrefix(hash, "$"):
			form = "of the form $" + strings.SplitN(hash, "$", 3)[1] + "$"
		}
		return "hashed with bcrypt, the hash was " + form
	}
	if !h.fits(hash, u) {
		return "password set anew"
	}
	if cost, err := bcrypt.Cost([]byte(hash)); err == nil && e.Cost != nil && cost < *e.Cost && !bcryptForm.MatchString(u.secret) {
		return fmt.Sprintf("hashed anew, cost %d → %d", cost, *e.Cost)
	}
	return ""
}

func (e loginEdit) hash(u login, h hashes) (string, error) {
	if bcryptForm.MatchString(u.secret) {
		return u.secret, nil
	}
	cost := bcrypt.DefaultCost
	if e.Cost != nil {
		cost = *e.Cost
	}
	return h.of(u, cost)
}

// toCome begins what stands for a hash in a file that is planned: hashes have a salt, so
// they are made when the file is. Behind it is the sum of what logs the user in.
const toCome = "\x00"

// planned are the hashes of a plan.
type planned struct{ v *host.View }

func (p planned) of(u login, _ int) (string, error) { return toCome + u.Secret.Sum, nil }

func (p planned) fits(hash string, u login) bool {
	if sum, ok := strings.CutPrefix(hash, toCome); ok {
		return sum == u.Secret.Sum
	}
	// Each costs a login: it is asked once on a host that isn't changed.
	ok, err := host.Once(p.v, "fits "+hash+" "+u.Secret.Sum, func() (bool, error) { return made{}.fits(hash, u), nil })
	return ok && err == nil
}

// made are hashes with salts.
type made struct{}

func (made) of(u login, cost int) (string, error) {
	hash, err := bcrypt.GenerateFromPassword([]byte(u.secret), cost)
	if err != nil {
		return "", fmt.Errorf("hashing the password of %s: %w", u.Name, err)
	}
	return "$2y" + strings.TrimPrefix(string(hash), "$2a"), nil // what htpasswd writes; others read both
}

func (made) fits(hash string, u login) bool {
	if bcryptForm.MatchString(u.secret) {
		return hash == u.secret
	}
	return bcrypt.CompareHashAndPassword([]byte(hash), []byte(u.secret)) == nil
}
