package memcached

import (
	"fmt"
	"slices"
	"strings"
)

// Memcached's options, as its main reads them (memcached.c of 1.6) with getopt_long(3): several letters
// may share a dash, a value may follow its letter at once, and a long name may be cut
// short as long as it stays the only one.
const shortOptions = "a:AZp:s:U:m:Mc:khiVrvdl:u:P:f:n:t:D:LR:Cb:B:I:SFXWY:e:o:N:"

// longOptions are the letters that long names stand for.
func longOptions() map[string]byte {
	return map[string]byte{
		"unix-mask": 'a', "enable-shutdown": 'A', "enable-ssl": 'Z', "port": 'p', "unix-socket": 's', "udp-port": 'U', "memory-limit": 'm',
		"disable-evictions": 'M', "conn-limit": 'c', "lock-memory": 'k', "help": 'h', "license": 'i', "version": 'V', "enable-coredumps": 'r',
		"verbose": 'v', "daemon": 'd', "listen": 'l', "user": 'u', "pidfile": 'P', "slab-growth-factor": 'f', "slab-min-size": 'n',
		"threads": 't', "enable-largepages": 'L', "max-reqs-per-event": 'R', "disable-cas": 'C', "listen-backlog": 'b', "protocol": 'B',
		"max-item-size": 'I', "enable-sasl": 'S', "disable-flush-all": 'F', "disable-dumping": 'X', "disable-watch": 'W', "auth-file": 'Y',
		"memory-file": 'e', "extended": 'o', "napi-ids": 'N',
	}
}

// option is an option of Memcached's: its letter, and its value where it takes one.
type option struct {
	letter byte
	value  string
}

func (o option) String() string { return strings.TrimSpace("-" + string(o.letter) + " " + o.value) }

// takes reports whether a letter is an option, and whether it takes a value.
func takes(letter byte) (known, value bool) {
	at := strings.IndexByte(shortOptions, letter)
	if at < 0 || letter == ':' {
		return false, false
	}
	return true, at+1 < len(shortOptions) && shortOptions[at+1] == ':'
}

// options reads the words of a command line behind the program.
func options(words []string) (list []option, err error) {
	for i := 0; i < len(words); i++ {
		word := words[i]
		value := func(o option, has string, given bool) error {
			if !given {
				if i++; i == len(words) {
					return fmt.Errorf("%s needs a value", word)
				}
				has = words[i]
			}
			o.value = has
			list = append(list, o)
			return nil
		}
		switch {
		case strings.HasPrefix(word, "--") && len(word) > 2:
			name, has, given := strings.Cut(word[2:], "=")
			letter, err := longOption(name)
			if err != nil {
				return nil, err
			}
			if _, needs := takes(letter); needs {
				if err := value(option{letter: letter}, has, given); err != nil {
					return nil, err
				}
			} else if given && letter != 'v' {
				return nil, fmt.Errorf("--%s takes no value", name)
			} else {
				list = append(list, option{letter: letter})
			}
		case strings.HasPrefix(word, "-") && len(word) > 1 && word != "--":
			for at := 1; at < len(word); at++ {
				known, needs := takes(word[at])
				if !known {
					return nil, fmt.Errorf("there is no option -%c", word[at])
				}
				if needs {
					if err := value(option{letter: word[at]}, word[at+1:], at+1 < len(word)); err != nil {
						return nil, err
					}
					break
				}
				list = append(list, option{letter: word[at]})
			}
		default:
			return nil, fmt.Errorf("%q is no option", word)
		}
	}
	return list, nil
}

// longOption is the letter that a long name stands for, which may be cut short.
func longOption(name string) (byte, error) {
	all := longOptions()
	if letter, ok := all[name]; ok {
		return letter, nil
	}
	var found []string
	for long := range all {
		if strings.HasPrefix(long, name) {
			found = append(found, long)
		}
	}
	slices.Sort(found)
	switch len(found) {
	case 0:
		return 0, fmt.Errorf("there is no option --%s", name)
	case 1:
		return all[found[0]], nil
	}
	return 0, fmt.Errorf("--%s may be any of --%s", name, strings.Join(found, ", --"))
}

// strange are the characters of a line that can't stand in Memcached's file: Debian's wrapper
// has a shell read the lines, and takes what follows a # out.
func strange(line string) string {
	return strings.Trim(line, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 _./:,=@%+-")
}

// refuseExtra is why an extra option can't be one; "" where it can.
func refuseExtra(text string) (summary, detail string) {
	const wrong, conflict = "Wrong value", "Conflicting arguments"
	if bad := strange(text); bad != "" {
		return wrong, fmt.Sprintf("%q can't stand in Memcached's file, whose lines are read by a shell: options have letters, digits and _./:,=@%%+- alone.", text)
	}
	list, err := options(strings.Fields(text))
	if err != nil || len(list) == 0 {
		if err == nil {
			err = fmt.Errorf("it is empty")
		}
		return wrong, fmt.Sprintf("%q is no option that can stand here: it is one such as \"-o modern\" or \"-v\". %s.", text, err)
	}
	own := map[byte]string{'l': "listen", 'p': "port", 'm': "memory", 'c': "connections", 't': "threads", 'I': "max_item_size", 'Z': "tls", 'Y': "auth"}
	for _, o := range list {
		arg := own[o.letter]
		if o.letter == 'o' {
			for word := range strings.SplitSeq(o.value, ",") {
				if name, _, _ := strings.Cut(word, "="); name == "ssl_chain_cert" || name == "ssl_key" {
					arg = "tls"
				}
			}
		}
		switch {
		case arg != "":
			return conflict, fmt.Sprintf("%s is an argument of its own: %q.", o, arg)
		case o.letter == 'U':
			return conflict, "Memcached isn't let listen on UDP: anybody who can send to it could have it flood others."
		case o.letter == 'S', o.letter == 'B' && o.value != "ascii" && !strings.HasPrefix(o.value, "auto"):
			return wrong, fmt.Sprintf("With %s Memcached doesn't take its text protocol any more, by which muster asks it.", o)
		case strings.IndexByte("duPshVi", o.letter) >= 0:
			return wrong, fmt.Sprintf("%s goes with how Debian's package starts Memcached, and can't stand here.", o)
		}
	}
	return "", ""
}

// asked for by `stats settings`, or the package's own.
const otherwise = "uPpUmctIYZ"

// beyond are the options of the file that Memcached wasn't started with, and those that it was
// started with and that the file hasn't, without those that it tells of itself.
func beyond(text string, argv []string) (missing, surplus []option) {
	var words []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(strings.TrimSpace(line), "#") {
			words = append(words, strings.Fields(line)...)
		}
	}
	want, _ := options(words)
	has, _ := options(argv[min(1, len(argv)):])
	for _, o := range want {
		if at := slices.Index(has, o); at >= 0 {
			has = slices.Delete(has, at, at+1)
		} else if strings.IndexByte(otherwise, o.letter) < 0 {
			missing = append(missing, o)
		}
	}
	return missing, slices.DeleteFunc(has, func(o option) bool { return strings.IndexByte(otherwise, o.letter) >= 0 })
}
