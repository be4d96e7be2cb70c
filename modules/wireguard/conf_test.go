package wireguard

import (
	"strings"
	"testing"

	"muster/modules"
)

const (
	one = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
	two = "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0="
)

const theirs = `# by hand
[interface]
Address=10.9.0.1/24 # ours
PostUp = wg set %i fwmark 7
PostUp = wg set %i private-key /etc/wireguard/wg0.key

# the laptop
[Peer]
PublicKey = ` + one + `
AllowedIPs = 10.9.0.2/32
`

func TestLinesOfOthersStayAndWhatIsMadeOnceIsMadeForGood(t *testing.T) {
	seconds := 25
	c := parse("wg0", theirs)
	c.put("ada", Peer{PublicKey: one, AllowedIPs: modules.OneOrMore{"10.9.0.2"}})
	c.put("ben", Peer{PublicKey: two, AllowedIPs: modules.OneOrMore{"10.9.0.3", "192.168.1.0/24"}, Endpoint: "b.example.com:1", Keepalive: &seconds, PresharedKey: one})
	want := strings.Replace(theirs, "[Peer]\n", "[Peer]\n# Peer: ada\n", 1)
	want = strings.Replace(want, "PostUp = wg set %i private-key", "PostUp = wg set %i peer "+two+" preshared-key /etc/wireguard/wg0.psk-ben\nPostUp = wg set %i private-key", 1)
	want += "\n[Peer]\n# Peer: ben\nPublicKey = " + two + "\nAllowedIPs = 10.9.0.3/32, 192.168.1.0/24\nEndpoint = b.example.com:1\nPersistentKeepalive = 25\n"
	if got := c.String(); got != want {
		t.Fatalf("it becomes\n%s\nwant\n%s", got, want)
	}
	again := parse("wg0", want)
	again.put("ben", Peer{PublicKey: two, AllowedIPs: modules.OneOrMore{"192.168.1.0/24", "10.9.0.3"}})
	if got := again.String(); got != want {
		t.Errorf("what isn't given doesn't stay:\n%s", got)
	}
	again.remove(again.byName("ben"))
	if got := again.String(); strings.TrimSpace(got) != strings.TrimSpace(strings.Replace(theirs, "[Peer]\n", "[Peer]\n# Peer: ada\n", 1)) {
		t.Errorf("taken out, it leaves\n%s", got)
	}
}

func TestAnotherKeyTakesTheOldOnesPlace(t *testing.T) {
	c := parse("wg0", "")
	c.put("ada", Peer{PublicKey: one, AllowedIPs: modules.OneOrMore{"10.9.0.2"}, PresharedKey: one})
	c.put("ada", Peer{PublicKey: two, AllowedIPs: modules.OneOrMore{"10.9.0.2"}})
	if text := c.String(); strings.Contains(text, one) || strings.Count(text, "[Peer]") != 1 || c.shared(two) != "/etc/wireguard/wg0.psk-ada" {
		t.Errorf("it becomes\n%s", text)
	}
}

func TestKeysInTheConfigurationAreRefusedUnseen(t *testing.T) {
	for text, says := range map[string]string{
		"[Interface]\nprivatekey=" + one + "\n":                           "private key itself",
		"[Peer]\nPublicKey = " + two + "\nPresharedKey = " + one + "\n":   "shared with the peer " + two,
		"[Peer]\n# Peer: ben\nAllowedIPs = 10.9.0.2/32\n":                 "without a PublicKey",
		"[Interface]\n# PrivateKey = " + one + "\nPostUp = wg set %i x\n": "",
	} {
		err := parse("wg0", text).foreign()
		if says == "" && err != nil || says != "" && (err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), one)) {
			t.Errorf("%q: %v, want %q", text, err, says)
		}
	}
}

// As wg-quick makes them: none where a wider one leads there already.
func TestRoutesAreThoseThatWgQuickMakes(t *testing.T) {
	text := "[Interface]\nAddress = 10.9.0.1/24, 10.7.0.1/32\n[Peer]\nPublicKey = " + one + "\nAllowedIPs = 10.9.0.2/32, 10.8.0.0/16\n[Peer]\nPublicKey = " + two + "\nAllowedIPs = 10.8.3.0/24, 0.0.0.0/0\n"
	none := func(string) string { return "" }
	if got := strings.Join(parse("wg0", text).wants(none).Routes, " "); got != "10.8.0.0/16 10.8.3.0/24 10.9.0.0/24" {
		t.Errorf("routes %s", got)
	}
	off := strings.Replace(text, "[Peer]", "Table = off\n[Peer]", 1)
	if got := strings.Join(parse("wg0", off).wants(none).Routes, " "); got != "10.9.0.0/24" {
		t.Errorf("with Table = off: routes %s", got)
	}
}

func TestNothingSecretOfADumpIsKept(t *testing.T) {
	dump := "private\t" + one + "\t51820\toff\n" + two + "\tgeheim\t192.0.2.1:5\t10.9.0.2/32,fd00::/8\t1700000000\t1\t2\t25\n" + one + "\t(none)\t(none)\t(none)\t0\t0\t0\toff\n"
	d, err := readDump(dump, one)
	if err != nil {
		t.Fatal(err)
	}
	p := d.Peers[two]
	if !d.Keyed || d.Port != 51820 || p.Keepalive != 25 || !p.Endpoint || !p.spoken || p.Shared != sumOf("geheim") || strings.Join(p.AllowedIPs, " ") != "10.9.0.2/32 fd00::/8" {
		t.Errorf("%+v", d)
	}
	if p := d.Peers[one]; p.Shared != "" || p.Endpoint || p.spoken || p.AllowedIPs != nil {
		t.Errorf("%+v", p)
	}
	if d, err := readDump(dump, two); err != nil || d.Keyed {
		t.Error("another private key isn't seen")
	}
	if _, err := readDump("private\tx\n", ""); err == nil || strings.Contains(err.Error(), "private") {
		t.Errorf("a dump that is cut: %v", err)
	}
}
