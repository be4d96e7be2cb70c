package real

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"muster/tests/await"
)

const (
	cacheMove  = "playbooks/cache_move.hcl"
	cacheAdmin = "an-admin-word"
	cacheShop  = "a-shop-word"
)

// cached is a shop that needs its cache: it reads where that is from its settings, asks it
// for each ping, isn't well before that answered, and keeps a connection to it.
const cached = `where=${CACHE#*://}; where=${where#*@}; to="${where%:*} ${where##*:}"
case $CACHE in
memcached:*) ask="get shop:greeting\\r\\nquit\\r\\n"; wants=END ;;
redis:*) ask="AUTH shop $(busybox cat /run/secrets/cache)\\r\\nGET shop:greeting\\r\\nQUIT\\r\\n"; wants="^.-1" ;;
*) echo "the shop has no cache" >&2; exit 7 ;;
esac
echo "release cached" >/www/release; busybox mkdir -p /www/cgi-bin
printf "#!/bin/sh\nif printf \"$ask\" | busybox nc -w 5 $to | busybox grep -q \"$wants\"; then echo Status: 200; else echo Status: 500; fi\necho Content-Type: text/plain\necho\necho pong\n" >/www/cgi-bin/ping
busybox chmod +x /www/cgi-bin/ping
while :; do busybox sleep 1000; done | busybox nc $to >/dev/null &
ok=; for i in 1 2 3 4 5; do busybox sh /www/cgi-bin/ping | busybox grep -q "Status: 200" && ok=1 && break; busybox sleep 1; done
[ "$ok" ] || { echo "the cache at $to does not answer" >&2; exit 7; }
echo well >/www/health; ` + serves

// clientsOf prints the hosts that are connected to a port, each once.
func clientsOf(port string) string {
	return `ss -Htn state established sport = :` + port + ` | grep -o "[0-9.]*:[0-9]* *$" | cut -d: -f1 | sort -u | xargs`
}

func clients(t *testing.T, port string) string { t.Helper(); return on(t, "cache1", clientsOf(port)) }

// withoutCaches leaves cache1 without them, before a test and after it.
func withoutCaches(t *testing.T) {
	t.Helper()
	clean := func() {
		_, _ = theLab.Host("cache1").Exec(context.Background(), "sh", "-c", `apt-get purge -qy redis-server redis-tools memcached >/dev/null 2>&1
			rm -rf /etc/redis /var/lib/redis /etc/memcached.conf /var/lib/muster/redis`)
	}
	clean()
	t.Cleanup(clean)
}

func TestLoadOfAMoveToAnotherCacheFailsNoRequest(t *testing.T) {
	s := newShop(t, "1")
	withoutCaches(t)
	const shops = "10.0.1.21 10.0.1.22 10.0.1.51"
	s.muster(0, "apply", "playbooks/site.hcl", "--yes", "--limit", "cache", "--var-file", siteVars(t), "--var", `caches=["memcached"]`)
	pushImages(t, dockerHost, "shop", map[string]string{"cached": cached})
	s.deploy(0, "cached")
	defer s.deploy(0, "1")
	if got := clients(t, "11211"); got != shops {
		t.Fatalf("before it, Memcached is used by %q", got)
	}

	shop := []string{"--no-color", "--var", "redis_shop=" + cacheShop}
	both := append(slices.Clone(shop), "--var", "redis_admin="+cacheAdmin)
	tight := func(r result) result {
		t.Helper()
		if strings.Contains(r.Out+r.Err, cacheAdmin) || strings.Contains(r.Out+r.Err, cacheShop) {
			t.Errorf("it shows a password:\n%s%s", r.Out, r.Err)
		}
		return r
	}
	// Somebody else, who goes on for a while.
	other := theLab.Host("nat").Command(t.Context(), "bash", "-c", "exec 3<>/dev/tcp/10.0.1.41/11211 && read line")
	leaves, err := other.StdinPipe()
	if err == nil {
		err = other.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	await.Until(t, "the other one is connected", func() bool { return clients(t, "11211") != shops })

	rows := underLoad(t, func() {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		defer cancel()
		var out bytes.Buffer
		cmd := s.command(ctx, append([]string{"apply", cacheMove, "--yes"}, both...)...)
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		// The shop has gone over, on all hosts; the other one is left.
		if got := on(t, "cache1", "timeout 240 sh -c 'until test \"$("+clientsOf("6379")+")\" = \""+shops+"\" && test \"$("+clientsOf("11211")+")\" = 10.0.1.1; do sleep 0.2; done'; systemctl is-active memcached || true"); got != "active" {
			t.Errorf("Memcached is %s while somebody uses it", got)
		}
		leaves.Close()
		_ = other.Wait()
		_ = cmd.Wait()
		if tight(result{Out: out.String()}); cmd.ProcessState.ExitCode() != 0 {
			t.Errorf("exit code %d\n%s", cmd.ProcessState.ExitCode(), out.String())
		}
	})
	show(t, "another cache", rows)
	noneFails(t, rows)
	shopRuns(t, everywhere("cached"))
	if got := on(t, "cache1", "systemctl is-active memcached; systemctl is-enabled memcached; true"); got != "inactive\ndisabled" {
		t.Errorf("Memcached is %q", got)
	}

	if r := tight(s.muster(0, append([]string{"apply", cacheMove, "--yes"}, both...)...)); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("the second run:\n%s", r.Out)
	}
	// With what it says in the inventory then, the others keep to it.
	tight(s.muster(0, append([]string{"plan", deploy, "--var", "release=cached", "--var", "cache=redis", "--detailed-exitcode"}, shop...)...))
	tight(s.muster(0, append([]string{"plan", "playbooks/site.hcl", "--limit", "cache", "--var-file", siteVars(t), "--var", `caches=["redis"]`, "--detailed-exitcode"}, both...)...))
}
