package main

import (
	"strings"
	"testing"
	"time"

	"muster/modules/systemd"
)

func TestClocksThatAreSetAreNoticed(t *testing.T) {
	for _, c := range []struct{ shown, passed, want time.Duration }{
		{time.Minute, time.Minute, 0},
		{time.Minute, time.Minute + 59*time.Second, 0},
		{3 * time.Hour, time.Hour, 2 * time.Hour},
		{-time.Hour, time.Minute, -time.Hour - time.Minute},
	} {
		if got := jumped(c.shown, c.passed); got != c.want {
			t.Errorf("%v shown, %v passed: %v", c.shown, c.passed, got)
		}
	}
}

func TestListTellsWhatAMachineHas(t *testing.T) {
	const said = `unit muster-drift-shop
User=ann
X-Muster-Schedule=03:00 Europe/Berlin
X-Muster-Project=/srv/shop 100%%
ExecMainStartTimestamp=@1764385200
ExecMainExitTimestamp=@1764385260
ExecMainStatus=1
Result=exit-code
Timer=active
runs [{"began":"2025-11-27T03:00:00Z","ended":"2025-11-27T03:01:00Z","code":2,"said":["1 new, 0 still there, 0 gone\u001b[2J"]}]
unit muster-rotations-shop
X-Muster-Schedule=broken
ExecMainExitTimestamp=
Timer=inactive
runs [{"bro
`
	list, err := readFound(strings.NewReader(said))
	if err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	var out strings.Builder
	a := &app{out: &out}
	if err := a.showSchedules(list, 3, time.Date(2026, 3, 27, 12, 0, 0, 0, time.UTC)); err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{
		"muster-drift-shop  03:00 Europe/Berlin\n  as ann in /srv/shop 100%\n",
		"  next  Sat 2026-03-28 03:00 CET\n  next  Sun 2026-03-29 03:00 CEST\n  next  Mon 2026-03-30 03:00 CEST\n",
		"an error (exit code 1)\n          it didn't keep what came of it (systemd: exit-code): journalctl -u muster-drift-shop has",
		"  last  Thu 2025-11-27 03:00 UTC  drift (exit code 2)\n          1 new, 0 still there, 0 gone",
		"  its timer doesn't run (inactive): install it again\n",
		"  what came of its runs can't be read: ",
		"  it hasn't run yet\n",
	} {
		if !strings.Contains(out.String(), text) {
			t.Errorf("it doesn't say %q:\n%s", text, out.String())
		}
	}
	if strings.Contains(out.String(), "\x1b") {
		t.Error("it is shown raw")
	}
}

func TestWordsOfUnitsAreReadAsTheyWereMeant(t *testing.T) {
	for word, want := range map[string]string{
		"plain": "plain", "a b": `"a b"`, `5%`: `5%%`, "$HOME": `"$$HOME"`, `say "x\`: `"say \"x\\"`, "two\nlines": `"two\nlines"`, "": `""`,
	} {
		if got := systemd.Word(word); got != want {
			t.Errorf("%q: %s, want %s", word, got, want)
		}
	}
}
