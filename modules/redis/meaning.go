package redis

import (
	"math"
	"slices"
	"strconv"
	"strings"
)

// settingName is a setting's name as Redis 7 has it: those of replicas have an older one.
func settingName(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	switch {
	case name == "slaveof":
		return "replicaof"
	case strings.HasPrefix(name, "slave-"):
		return "replica-" + strings.TrimPrefix(name, "slave-")
	case strings.HasPrefix(name, "min-slaves-"):
		return "min-replicas-" + strings.TrimPrefix(name, "min-slaves-")
	}
	return name
}

// units are what Redis takes behind numbers (memtoull in its util.c).
var units = []struct {
	suffix string
	bytes  float64
}{{"kb", 1 << 10}, {"mb", 1 << 20}, {"gb", 1 << 30}, {"k", 1e3}, {"m", 1e6}, {"g", 1e9}, {"b", 1}}

// number reads a number, with a unit.
func number(text string) (float64, bool) {
	text = strings.ToLower(text)
	factor := 1.0
	for _, u := range units {
		if rest, ok := strings.CutSuffix(text, u.suffix); ok {
			text, factor = rest, u.bytes
			break
		}
	}
	n, err := strconv.ParseFloat(text, 64)
	return n * factor, err == nil && !math.IsInf(n, 0) && !math.IsNaN(n)
}

// same reports whether two values of a setting mean one thing.
func same(name, a, b string) bool {
	if a == b {
		return true
	}
	switch name {
	case "save":
		return slices.Equal(savePoints(a), savePoints(b))
	case "client-output-buffer-limit":
		// Classes that one of them doesn't name stay as they are.
		x, y := bufferLimits(a), bufferLimits(b)
		for class, limits := range x {
			if was, ok := y[class]; ok && !sameWords(limits, was) {
				return false
			}
		}
		return len(x) > 0 && len(y) > 0
	case "notify-keyspace-events":
		return eventFlags(a) == eventFlags(b)
	case "requirepass", "masterauth", "masteruser", "proc-title-template":
		return false
	case "dir", "logfile", "unixsocket":
		return strings.TrimRight(a, "/") == strings.TrimRight(b, "/")
	}
	return sameWords(strings.Fields(a), strings.Fields(b))
}

func sameWords(a, b []string) bool {
	return slices.EqualFunc(a, b, func(x, y string) bool {
		if strings.EqualFold(x, y) {
			return true
		}
		m, ok := number(x)
		n, also := number(y)
		return ok && also && m == n
	})
}

// savePoints are the points at which Redis writes its file, as pairs of seconds and
// changes; "" takes back those before it.
func savePoints(text string) (list []string) {
	words := strings.Fields(text)
	for i := 0; i < len(words); i++ {
		if words[i] == `""` {
			list = nil
		} else if i+1 < len(words) {
			list = append(list, words[i]+" "+words[i+1])
			i++
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// bufferLimits are the three limits of each class of clients.
func bufferLimits(text string) map[string][]string {
	all := map[string][]string{}
	words := strings.Fields(text)
	for i := 0; i+3 < len(words); i += 4 {
		class := strings.ToLower(words[i])
		if class == "slave" {
			class = "replica"
		}
		all[class] = words[i+1 : i+4]
	}
	return all
}

// eventFlags are letters for the events that are told, in one order. "A" stands for many.
func eventFlags(text string) string {
	letters := []byte(strings.ReplaceAll(text, "A", "g$lshzxetd"))
	slices.Sort(letters)
	return string(slices.Compact(letters))
}

// secretSetting reports whether a setting's value is never shown.
func secretSetting(name string) bool {
	return slices.Contains([]string{"masterauth", "requirepass", "tls-key-file-pass", "tls-client-key-file-pass"}, name)
}
