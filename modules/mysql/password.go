package mysql

import (
	"crypto/sha1" //nolint:gosec // it is what mysql_native_password is made of
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"filippo.io/edwards25519"

	"muster/host"
)

// Plugins by which passwords are told.
const (
	nativePlugin  = "mysql_native_password"
	ed25519Plugin = "ed25519"
	cachingPlugin = "caching_sha2_password"
	sha256Plugin  = "sha256_password"
)

// MariaDB writes a statement with its password into the binary log as it came, which each
// replica keeps. So it is given what the password is turned into, by the plugins that
// muster knows. MySQL writes no password, but has to see it: it makes the salt. There the
// session's statements are kept from the general log besides (quiet).

// takesPassword reports whether muster can set passwords for a plugin.
func (f flavor) takesPassword(plugin string) bool {
	if f == mariadb {
		return plugin == nativePlugin || plugin == ed25519Plugin
	}
	return slices.Contains([]string{"", cachingPlugin, sha256Plugin, nativePlugin}, plugin)
}

// passwordPlugins are those.
func (f flavor) passwordPlugins() string {
	if f == mariadb {
		return nativePlugin + " and " + ed25519Plugin
	}
	return cachingPlugin + ", " + sha256Plugin + " and " + nativePlugin
}

// defaultPlugin is the one of an account that is made with a password; "": the server's.
func (f flavor) defaultPlugin() string {
	if f == mariadb {
		return nativePlugin
	}
	return ""
}

// longest is how many bytes a password may have; 0 is no limit. Beyond it caching_sha2_password
// refuses the login (MySQL's sql/auth: MAX_PLAINTEXT_LENGTH).
func (f flavor) longest() int {
	if f == mysqlOwn {
		return 256
	}
	return 0
}

// identified is the part of a statement that has an account be let in by a plugin, with a
// password where it is not "".
func (f flavor) identified(plugin, password string) string {
	switch {
	case f == mariadb && password == "":
		return " IDENTIFIED VIA " + plugin
	case f == mariadb && plugin == ed25519Plugin:
		return " IDENTIFIED VIA ed25519 USING " + literal(ed25519Key(password))
	case f == mariadb:
		return " IDENTIFIED VIA " + nativePlugin + " USING " + literal(nativeHash(password))
	case password == "":
		return " IDENTIFIED WITH " + plugin
	case plugin == "":
		return " IDENTIFIED BY " + literal(password)
	}
	return " IDENTIFIED WITH " + plugin + " BY " + literal(password)
}

// again is the part of a statement that gives an account methods that it had.
func (f flavor) again(methods []method) string {
	if f == mysqlOwn {
		m := methods[0]
		if m.Auth == "" {
			return " IDENTIFIED WITH " + m.Plugin
		}
		return " IDENTIFIED WITH " + m.Plugin + " AS 0x" + m.Auth
	}
	var parts []string
	for _, m := range methods {
		part := m.Plugin
		if m.Auth != "" {
			part += " USING " + literal(m.Auth)
		}
		parts = append(parts, part)
	}
	return " IDENTIFIED VIA " + strings.Join(parts, " OR ")
}

// nativeHash is what mysql_native_password keeps: SHA-1 of SHA-1.
func nativeHash(password string) string {
	once := sha1.Sum([]byte(password)) //nolint:gosec // see above
	twice := sha1.Sum(once[:])         //nolint:gosec // see above
	return "*" + strings.ToUpper(hex.EncodeToString(twice[:]))
}

// ed25519Key is what MariaDB's ed25519 keeps: a public key, whose private one is the
// password's SHA-512.
func ed25519Key(password string) string {
	sum := sha512.Sum512([]byte(password))
	s, err := edwards25519.NewScalar().SetBytesWithClamping(sum[:32])
	if err != nil {
		panic("mysql: " + err.Error())
	}
	return base64.RawStdEncoding.EncodeToString(new(edwards25519.Point).ScalarBaseMult(s).Bytes())
}

// quiet keeps the statements of a session out of the general log, and the slow ones.
const quiet = "SET SESSION sql_log_off = 1, long_query_time = 31536000"

// strictValidation is how MariaDB names what forbids hashes (validate_password in its
// sql/sql_acl.cc): no plugin has seen the password then, and another one fares no better. A
// password that a plugin has judged is errPolicy, on MariaDB, too.
const strictValidation = "--strict-password-validation"

// withoutPassword is an error of a statement that holds a password, as it may be shown:
// a server quotes what it doesn't understand.
func withoutPassword(err error, password string) error {
	if err == nil || password == "" {
		return err
	}
	if isError(err, errPolicy, errHistory) {
		return fmt.Errorf("%w: the server's policy for passwords doesn't take it (error %d; MySQL: SHOW VARIABLES LIKE 'validate_password%%', and password_history). Give the account a longer one with letters of both cases, digits and other characters", host.ErrRefused, errorNumber(err))
	}
	if isError(err, errPrevented) && strings.Contains(err.Error(), strictValidation) {
		return fmt.Errorf("the server takes no password as a hash, whichever it is, since a plugin that checks passwords is loaded (%s): muster gives it the hash, for what it is given in clear stands in the binary log. Set strict_password_validation = OFF, or unload the plugin", strictValidation)
	}
	if isError(err, errParse) || strings.Contains(err.Error(), password) || strings.Contains(err.Error(), strings.Trim(literal(password), "'")) {
		return fmt.Errorf("the server doesn't take the statement with the password in it, and its own words, which may hold that, aren't shown")
	}
	return err
}
