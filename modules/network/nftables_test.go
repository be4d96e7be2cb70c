package network

import (
	"slices"
	"strings"
	"testing"

	"muster/modules/file"
	"muster/modules/modulestest"
	"muster/modules/systemd"
)

func TestConformance(t *testing.T) {
	modulestest.Run(t, slices.Concat(Kinds(), file.Kinds(), systemd.Kinds())...)
}

func TestContentStaysInItsTable(t *testing.T) {
	for body, wrong := range map[string]string{
		"chain c { accept }":                   "",
		"chain c { log prefix \"} {\" # }\n}":  "",
		"":                                     "",
		"}\nflush ruleset\ntable inet other {": `a "}" too many`,
		"chain c { accept }\n} # }\nflush ruleset\n#": `a "}" too many`,
		"chain c {":                "left open",
		"chain c { # }":            "left open",
		"chain c { log prefix \"}": "no end",
		"chain c { }\x00":          "NUL",
	} {
		err := closed(body)
		if wrong == "" && err != nil || wrong != "" && (err == nil || !strings.Contains(err.Error(), wrong)) {
			t.Errorf("%q: %v, want %q", body, err, wrong)
		}
	}
}

func TestWhatPacketsMoveIsNoDrift(t *testing.T) {
	const listing = "table inet t {\n\tset seen {\n\t\ttype ipv4_addr\n\t\tflags dynamic,timeout\n\t\ttimeout 1h%s\n\t}\n\n\tset ports {\n\t\ttype inet_service\n\t\telements = { %s }\n\t}\n\n\tchain c {\n\t\taccept\n\t}\n}\n"
	with := func(elements, ports string) string {
		return shape(strings.Replace(strings.Replace(listing, "%s", elements, 1), "%s", ports, 1))
	}
	if with("", "22") != with("\n\t\telements = { 192.0.2.1 expires 5s,\n\t\t\t     192.0.2.2 }", "22") {
		t.Error("elements that packets add are drift")
	}
	if with("", "22") == with("", "22, 80") {
		t.Error("elements of a set that stays are no drift")
	}
}

func TestTheTableIsReadLastAtBoot(t *testing.T) {
	n := &Nftables{Table: "inet filter"}
	line := n.line() + "\n"
	for old, want := range map[string]string{
		"":                         "#!/usr/sbin/nft -f\n" + line,
		"flush ruleset\n":          "flush ruleset\n" + line,
		"flush ruleset":            "flush ruleset\n" + line,
		"flush ruleset\n" + line:   "flush ruleset\n" + line,
		line + "flush ruleset\n":   "flush ruleset\n" + line,
		line + "# flush ruleset\n": line + "# flush ruleset\n",
		line + "include \"/x\"\n":  line + "include \"/x\"\n",
	} {
		if got, err := n.with(old); err != nil || got != want {
			t.Errorf("%q becomes %q, want %q", old, got, want)
		}
	}
}
