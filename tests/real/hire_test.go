package real

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"muster/tests/operator"
	"muster/transport"
)

// newHire is the machine of somebody who has just come, and shopServer the one that the
// team's repositories are on.
const newHire, shopServer = "app2", "cache1"

// hire has the new hire's one command run on their machine, as ops and from their clone,
// and says how long it took.
type hire struct{ t *testing.T }

func (h hire) bootstrap(what string, code int, args ...string) string {
	h.t.Helper()
	begun := time.Now()
	words := "cd clone && ./bootstrap --yes --no-color " + strings.Join(args, " ")
	cmd := theLab.Host(newHire).Command(h.t.Context(), "runuser", "-l", "ops", "-c", words)
	r := operator.Run(h.t, cmd)
	if os.Getenv("MUSTER_SHOW") != "" {
		h.t.Logf("%s: %.0f s\n$ %s\n%s%s", what, time.Since(begun).Seconds(), words, r.Out, r.Err)
	}
	if r.Code != code {
		h.t.Fatalf("%s: exit code %d\n%s%s", what, r.Code, r.Out, r.Err)
	}
	return r.Out + r.Err
}

// killed has the command run, and muster killed once a script succeeds on the machine. It
// returns what was said until then.
func (h hire) killed(what, when string, args ...string) string {
	h.t.Helper()
	words := "cd clone && echo $$ >~/pid && exec ./bootstrap --yes --no-color " + strings.Join(args, " ")
	cmd := theLab.Host(newHire).Command(h.t.Context(), "runuser", "-l", "ops", "-c", words)
	var said bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &said
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	on(h.t, newHire, "timeout 900 sh -c "+transport.Quote("until "+when+"; do sleep 0.1; done")+" >/dev/null 2>&1; kill -KILL $(cat /home/ops/pid)")
	_ = cmd.Wait()
	if text := said.String(); strings.Contains(text, "Checking localhost") && !strings.Contains(text, "localhost works") {
		return text
	}
	h.t.Fatalf("%s: it wasn't killed on its way:\n%s", what, said.String())
	return ""
}

// cloned puts on a host what a clone of this repository has that the new hire's machine is
// made of, with a release pinned, which is in a folder of the host's.
func cloned(t *testing.T, host, home string) {
	t.Helper()
	program, err := os.ReadFile(binary(t))
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(program)
	var archive bytes.Buffer
	w := tar.NewWriter(&archive)
	add := func(name string, mode int64, data []byte) {
		if err := w.WriteHeader(&tar.Header{Name: name, Mode: mode, Size: int64(len(data))}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write(data); err != nil {
			t.Fatal(err)
		}
	}
	for _, top := range []string{"bootstrap", "muster.hcl", "playbooks/dev_vm.hcl", "roles/dev_vm", "roles/docker"} {
		err := filepath.WalkDir(filepath.Join("../..", top), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			data, err := os.ReadFile(path)
			info, more := d.Info()
			if err == nil && more == nil {
				add("clone/"+strings.TrimPrefix(path, "../../"), int64(info.Mode().Perm()), data)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	name := "muster-linux-" + runtime.GOARCH
	add("clone/release.sha256", 0o644, fmt.Appendf(nil, "# file:///%s/release\n%s  %s\n", home, hex.EncodeToString(sum[:]), name))
	add("release/"+name, 0o755, program)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	unpack := theLab.Host(host).Command(t.Context(), "runuser", "-l", "ops", "-c", "tar -x")
	unpack.Stdin = &archive
	if r := operator.Run(t, unpack); r.Code != 0 {
		t.Fatalf("%s%s", r.Out, r.Err)
	}
}

// serveShop makes the repository of the application, with release 1 in it.
func serveShop(t *testing.T) {
	t.Helper()
	files := exec.CommandContext(t.Context(), "tar", "-C", "../../roles/dev_vm/files", "-c", "shop")
	archive, err := files.Output()
	if err != nil {
		t.Fatal(err)
	}
	on(t, shopServer, "apt-get install -yqq --no-install-recommends git >/dev/null && mkdir -p /srv/git")
	unpack := theLab.Host(shopServer).Command(t.Context(), "tar", "-C", "/srv/git", "-x", "--no-same-owner")
	unpack.Stdin = bytes.NewReader(archive)
	if r := operator.Run(t, unpack); r.Code != 0 {
		t.Fatalf("%s%s", r.Out, r.Err)
	}
	on(t, shopServer, `cd /srv/git/shop && git init -q -b main && git add . && git -c user.name=a -c user.email=a@example.org commit -q -m one
		git daemon --base-path=/srv/git --export-all --detach --reuseaddr`)
}

// From a bare host to the application that answers, with one command; again, which changes
// nothing; and when a year has passed: its packages are old, and so is the release.
func TestNewHire(t *testing.T) {
	command(t.Context(), t)
	bare(t, newHire, shopServer)
	h := hire{t}
	serveShop(t)
	cloned(t, newHire, "home/ops")
	// What a machine of one's own has that was never bare: a dotfile.
	on(t, newHire, `command -v git || command -v docker && exit 1; echo 'set mouse=a' >/home/ops/.vimrc; chown ops: /home/ops/.vimrc
		printf 'git_name  = "Ada Moore"\ngit_email = "ada@example.org"\npackages  = ["jq", "no-such-package"]\ntoolchains = []\nrepositories = { shop = { url = "git://`+theLab.Host(shopServer).Address()+`/shop" } }\n' >/home/ops/clone/hire.hcl`)

	// Killed while packages are unpacked, and while images are made, it goes on.
	said := h.killed("packages", "test -e /usr/bin/git", "--var-file", "hire.hcl")
	if !strings.Contains(said, "/home/ops/.vimrc.muster-new") {
		t.Errorf("it doesn't show the dotfile that was changed:\n%s", said)
	}
	h.killed("images", "docker image ls -q dev/mariadb | grep -q .", "--var-file", "hire.hcl")
	said = h.bootstrap("gone on with", 0, "--var-file", "hire.hcl")
	for _, want := range []string{
		"recipient \"ops\" { key = \"age1", "ok  sudo", "ok  packages", "Checking localhost",
		"What went wrong", "Unable to locate package no-such-package", "localhost works, but for what stands above",
	} {
		if !strings.Contains(said, want) {
			t.Errorf("it doesn't say %q:\n%s", want, said)
		}
	}
	if strings.Index(said, "recipient \"ops\"") > strings.Index(said, "Checking localhost") || strings.Index(said, "Checking localhost") > strings.Index(said, "What went wrong") {
		t.Errorf("the identity doesn't come first, then what is checked, and last what went wrong:\n%s", said)
	}
	answers := func(release string) {
		t.Helper()
		if out := on(t, newHire, "curl -fsS http://127.0.0.1:8080/health"); !strings.Contains(out, `"release": "`+release+`", "database": "answers", "cache": "answers"`) {
			t.Errorf("the application answers with %s", out)
		}
	}
	answers("1")
	on(t, newHire, `set -e
		test "$(cat /home/ops/.vimrc)" = 'set mouse=a'
		grep -q 'set number' /home/ops/.vimrc.muster-new
		runuser -l ops -c 'git config user.email' | grep -qx ada@example.org
		runuser -l ops -c 'test -f ~/.ssh/id_ed25519 && docker ps -q | wc -l' | grep -qx 3`)

	// The second time nothing is changed.
	running := on(t, newHire, "docker ps -q --no-trunc | sort")
	on(t, newHire, `sed -i 's/, "no-such-package"//' /home/ops/clone/hire.hcl`)
	if said := h.bootstrap("again", 0, "--var-file", "hire.hcl"); !strings.Contains(said, "Nothing to change") || !strings.Contains(said, "localhost works. ") {
		t.Errorf("the second run:\n%s", said)
	}
	if now := on(t, newHire, "docker ps -q --no-trunc | sort"); now != running {
		t.Errorf("the second run left other containers:\n%s\n%s", now, running)
	}

	// A year later: packages of then, lists that don't have the newer one of what is in an
	// image, and the next release.
	cache := on(t, newHire, "docker inspect -f '{{.Image}}' dev-cache")
	on(t, newHire, `set -e
		sed -i '/^Package: docker.io$/,/^$/s/^Version: .*/Version: 20.10.0-1/' /var/lib/dpkg/status
		mkdir /srv/newer && cd /srv/newer && apt-get -q download memcached >/dev/null 2>&1
		dpkg-deb -R memcached_*.deb next && rm memcached_*.deb && sed -i 's/^Version: .*/Version: 99.0-1/' next/DEBIAN/control
		echo 99 >next/usr/bin/newer # an image of the same files is the same image
		dpkg-deb -Znone -b next memcached.deb >/dev/null
		{ dpkg-deb -f memcached.deb; echo "Filename: ./memcached.deb"; echo "Size: $(stat -c %s memcached.deb)"; echo "SHA256: $(sha256sum <memcached.deb | cut -d' ' -f1)"; } >Packages
		cd $(mktemp -d) && apt-get -q download jq >/dev/null 2>&1
		dpkg-deb -R jq_*.deb old && sed -i 's/^Version: .*/Version: 1.0-1/' old/DEBIAN/control && dpkg-deb -Znone -b old old.deb >/dev/null
		dpkg -i old.deb >/dev/null 2>&1
		dpkg-query -W -f '${Version}' jq | grep -qx 1.0-1
		echo 'deb [trusted=yes] file:/srv/newer ./' >/etc/apt/sources.list.d/newer.list`)
	on(t, shopServer, `cd /srv/git/shop && echo 2 >release && git -c user.name=a -c user.email=a@example.org commit -q -a -m two`)
	h.bootstrap("a year later", 0, "--var-file", "hire.hcl")
	answers("2")
	if now := on(t, newHire, "docker inspect -f '{{.Image}}' dev-cache"); now == cache {
		t.Errorf("the cache's image is %s as before", now)
	}
	on(t, newHire, `! dpkg-query -W -f '${Version}\n' jq docker.io | grep -qxE '1.0-1|20.10.0-1' && test "$(cat /home/ops/.vimrc)" = 'set mouse=a'`)
}
