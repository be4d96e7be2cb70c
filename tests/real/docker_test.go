package real

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// dockerHost is where Docker can run.
const dockerHost = "log1"

// dockerRole is a playbook that uses the role docker of this project.
func dockerRole(t *testing.T, inputs string) string {
	t.Helper()
	// A role is found in the project of its playbook.
	project := t.TempDir()
	roles, err := filepath.Abs("../../roles")
	if err == nil {
		err = os.Symlink(roles, filepath.Join(project, "roles"))
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(project, "muster.hcl"), nil, 0o600)
	}
	file := filepath.Join(project, "docker.hcl")
	text := "play \"docker\" {\n  hosts  = [\"" + dockerHost + "\"]\n  become = true\n  role \"docker\" {\n" + inputs + "\n  }\n}\n"
	if err == nil {
		err = os.WriteFile(file, []byte(text), 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return file
}

// makeRepository makes an apt repository on the Docker host, signed by a key made for
// it, and returns the key's text. Its packages have the names of Docker's own, and hold
// the distribution's daemon.
func makeRepository(t *testing.T, dir string) string {
	t.Helper()
	return on(t, dockerHost, `set -eu
		root=`+dir+`
		rm -rf $root && mkdir -p $root/pool $root/dists/lab/stable/binary-amd64 $root/gpg && chmod 700 $root/gpg
		export GNUPGHOME=$root/gpg
		gpg --batch --quiet --passphrase '' --quick-gen-key "A test <test@example.org>" ed25519 sign never 2>/dev/null
		cd $root && apt-get -q download docker.io >/dev/null 2>&1
		mkdir $root/tree && dpkg-deb -R docker.io_*.deb $root/tree && rm docker.io_*.deb
		depends=$(sed -n 's/^Depends: //p' $root/tree/DEBIAN/control)
		# deb NAME VERSION DEPENDS: packs the tree, and lists the package.
		deb() {
			mkdir -p $root/tree/DEBIAN
			printf 'Package: %s\nVersion: %s\nArchitecture: amd64\nMaintainer: nobody <nobody@example.org>\nDepends: %s\nDescription: a test\n' "$1" "$2" "$3" >$root/tree/DEBIAN/control
			dpkg-deb -Znone --root-owner-group -b $root/tree $root/pool/$1.deb >/dev/null
			rm -r $root/tree
			{ dpkg-deb -f $root/pool/$1.deb; printf 'Filename: pool/%s.deb\nSize: %s\nSHA256: %s\n\n' $1 $(stat -c %s $root/pool/$1.deb) $(sha256sum <$root/pool/$1.deb | cut -d' ' -f1); } >>$root/dists/lab/stable/binary-amd64/Packages
		}
		deb docker-ce 5:99.1-1 "$depends, docker-ce-cli, containerd.io"
		deb docker-ce-cli 5:99.1-1 libc6
		deb containerd.io 99.0-1 containerd
		cd $root/dists/lab
		list=stable/binary-amd64/Packages
		printf 'Origin: Test\nSuite: lab\nCodename: lab\nComponents: stable\nArchitectures: amd64\nDate: %s\nSHA256:\n %s %s %s\n' \
			"$(LC_ALL=C date -u -R)" $(sha256sum <$list | cut -d' ' -f1) $(stat -c %s $list) $list >Release
		gpg --batch --quiet --clearsign --output InRelease Release
		gpg --armor --export`)
}

// withoutDocker leaves the host as it was made, before a test and after it.
func withoutDocker(t *testing.T) {
	t.Helper()
	withoutShop(t)
	clean := func() {
		_, _ = theLab.Host(dockerHost).Exec(context.Background(), "sh", "-c", `systemctl stop docker.socket docker containerd 2>/dev/null
			dpkg-query -W -f '${Package}\n' docker.io docker-ce docker-ce-cli containerd.io containerd runc 2>/dev/null | xargs -r apt-get purge -qy >/dev/null 2>&1
			rm -rf /etc/docker /etc/apt/keyrings/docker.asc /etc/apt/sources.list.d/docker.sources /run/muster/stamps/docker-engine`)
	}
	clean()
	t.Cleanup(clean)
}

func repositoryInput(dir, key string) string {
	return "    repository = {\n      uri   = \"file:" + dir + "\"\n      suite = \"lab\"\n      key   = <<-EOT\n" + key + "\nEOT\n    }\n"
}

func TestDockerComesFromARepositoryThatATestSigns(t *testing.T) {
	command(t.Context(), t)
	withoutDocker(t)
	on(t, dockerHost, "id deploy >/dev/null 2>&1 || useradd -m deploy")
	const dir = "/srv/docker-repository"
	key := makeRepository(t, dir)
	other := makeRepository(t, dir+"-other")

	bare := playbook(t, "play \"p\" {\n  hosts  = [\""+dockerHost+"\"]\n  become = true\n  task \"docker_engine\" \"docker\" {}\n}\n")
	if r := muster(t, "plan", bare); r.Code == 0 || !strings.Contains(r.Out+r.Err, "install Docker in an earlier task") {
		t.Errorf("without Docker: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	// Signed by somebody else, nothing of it is installed.
	if r := muster(t, "apply", "--yes", dockerRole(t, repositoryInput(dir, other))); r.Code == 0 || !strings.Contains(r.Out+r.Err, "NO_PUBKEY") {
		t.Errorf("with another key: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	on(t, dockerHost, "! dpkg -s docker-ce >/dev/null 2>&1")

	settings := "    users    = [\"deploy\"]\n    version  = \"5:99.*\"\n    settings = { labels = [\"from=test\"], log-opts = { max-size = \"10m\" } }\n"
	file := dockerRole(t, repositoryInput(dir, key)+settings)
	if r := muster(t, "plan", file); r.Code != 0 || !strings.Contains(r.Out, `+    "from=test"`) {
		t.Errorf("the plan doesn't show the settings: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if r := muster(t, "apply", "--yes", file); r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	on(t, dockerHost, `set -eu
		dpkg-query -W -f '${Version}\n' docker-ce | grep -qx 5:99.1-1
		docker info --format '{{.LiveRestoreEnabled}} {{.Labels}}' | grep -qxF 'true [from=test]'
		id -nG deploy | grep -qw docker
		systemctl is-enabled -q docker`)
	pid := on(t, dockerHost, "systemctl show -P MainPID docker")
	if r := muster(t, "apply", "--yes", file); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("the second time: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}

	// What a reload can load takes one, what isn't right is put back.
	changed := dockerRole(t, repositoryInput(dir, key)+strings.Replace(settings, "from=test", "from=another", 1))
	if r := muster(t, "apply", "--yes", changed); r.Code != 0 || !strings.Contains(r.Out, "loads labels") {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if now := on(t, dockerHost, "systemctl show -P MainPID docker"); now != pid {
		t.Error("the daemon was restarted for what it could load")
	}
	bad := dockerRole(t, repositoryInput(dir, key)+strings.Replace(settings, "labels ", "exec-opts = [\"native.cgroupdriver=nothing\"], labels ", 1))
	r := muster(t, "apply", "--yes", bad)
	if r.Code == 0 || !strings.Contains(r.Out+r.Err, "has been taken back") || !strings.Contains(r.Out+r.Err, "cgroup") {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	if r := muster(t, "plan", "--detailed-exitcode", changed); r.Code != 0 {
		t.Errorf("what was put back isn't what was there before: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	on(t, dockerHost, `docker info --format '{{.Labels}}' | grep -qxF '[from=another]'`)
}

func TestDockerComesFromTheDistribution(t *testing.T) {
	command(t.Context(), t)
	withoutDocker(t)
	file := dockerRole(t, "    settings = { log-driver = \"local\" }\n")
	if r := muster(t, "apply", "--yes", file); r.Code != 0 {
		t.Fatalf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	on(t, dockerHost, `docker info --format '{{.LoggingDriver}} {{.LiveRestoreEnabled}}' | grep -qx 'local true'`)
	if r := muster(t, "apply", "--yes", file); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("the second time: exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	// A daemon that somebody stopped, or whose file they edited, is as declared again.
	on(t, dockerHost, `systemctl stop docker docker.socket 2>/dev/null; echo '{"debug": true}' >/etc/docker/daemon.json`)
	if r := muster(t, "apply", "--yes", file); r.Code != 0 || !strings.Contains(r.Out, "state: stopped → running") {
		t.Errorf("exit code %d\n%s%s", r.Code, r.Out, r.Err)
	}
	on(t, dockerHost, `docker info --format '{{.LoggingDriver}} {{.Debug}}' 2>/dev/null | grep -qx 'local false'`)
}
