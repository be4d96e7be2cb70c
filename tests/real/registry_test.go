package real

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// registryAt is where the registry of the test listens: on cache1.
const registryAt = "10.0.1.41:5000"

// withRegistry is a project whose playbook sets up a registry on cache1, and Docker on
// log1, which logs in there.
func withRegistry(t *testing.T) *site {
	t.Helper()
	s := newSite(t, `
variable "password" {
  type      = string
  sensitive = true
}
variable "collect" {
  type    = string
  default = "*-*-* 03:30"
}

play "registry" {
  hosts  = ["cache1"]
  become = true
  role "registry" {
    listen      = "`+registryAt+`"
    certificate = file("registry.crt")
    key         = sensitive(file("registry.key"))
    users       = { ada = var.password, bob = "$2y$05$FIeKGliLHlmiE3RXV/pIZeozmfWQ8B9qj90BLEy4womuTu54X9bCG" }
    collect     = var.collect
  }
}

play "docker" {
  hosts  = ["log1"]
  become = true
  task "package" "docker.io" {}
  task "service" "docker" { enabled = true }
  task "directory" "/etc/docker/certs.d" {}
  task "directory" "/etc/docker/certs.d/`+registryAt+`" {}
  task "file" "/etc/docker/certs.d/`+registryAt+`/ca.crt" { content = file("registry.crt") }
  task "docker_login" "`+registryAt+`" {
    user     = "ada"
    password = var.password
  }
}
`)
	withoutShop(t)
	certificates(t, s.dir)
	if err := os.CopyFS(filepath.Join(s.dir, "roles"), os.DirFS("../../roles")); err != nil {
		t.Fatal(err)
	}
	return s
}

func TestRegistryTakesImagesFromItsUsersAlone(t *testing.T) {
	s := withRegistry(t)
	apply := func(code int, password string, args ...string) result {
		t.Helper()
		r := s.muster(code, append([]string{"apply", "site.hcl", "--yes", "--var", "password=" + password}, args...)...)
		if strings.Contains(r.Out+r.Err, password) {
			t.Errorf("it shows the password:\n%s%s", r.Out, r.Err)
		}
		return r
	}
	for _, wrong := range []struct {
		old, new string
		code     int
		says     string
	}{
		{`listen      = "10.0.1.41:5000"`, `listen = ":5000"`, 1, "This is an IP address and a port"},
		{`file("registry.key")`, `file("other.key")`, 4, "The key is not that of the certificate"},
		{`var.collect`, `"at night"`, 4, "at night"},
	} {
		text, err := os.ReadFile(filepath.Join(s.dir, "site.hcl"))
		err = errors.Join(err, os.WriteFile(filepath.Join(s.dir, "wrong.hcl"), []byte(strings.Replace(string(text), wrong.old, wrong.new, 1)), 0o600))
		if err != nil {
			t.Fatal(err)
		}
		if r := s.muster(wrong.code, "plan", "wrong.hcl", "--limit", "cache1", "--var", "password=first-one"); !strings.Contains(r.Out+r.Err, wrong.says) {
			t.Errorf("with %s it says\n%s%s", wrong.new, r.Out, r.Err)
		}
	}

	// The registry isn't there yet while the login is planned.
	apply(0, "first-one")
	if r := apply(0, "first-one"); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("the second run:\n%s", r.Out)
	}

	// Who has no password is refused, and who has one pushes and pulls.
	status := func(who string) string {
		return on(t, "cache1", "curl -sk -o /dev/null -w '%{http_code}' "+who+" https://"+registryAt+"/v2/")
	}
	for who, want := range map[string]string{"": "401", "-u ada:wrong": "401", "-u ada:first-one": "200", "-u bob:right-one": "200"} {
		if got := status(who); got != want {
			t.Errorf("with %q it answers %s, want %s", who, got, want)
		}
	}
	if listens := on(t, "cache1", "ss -Hltn 'sport = :5000' | awk '{ print $4 }'"); listens != registryAt {
		t.Errorf("it listens on %q", listens)
	}
	on(t, dockerHost, "command -v busybox || apt-get install -yqq busybox-static")
	on(t, dockerHost, fmt.Sprintf("tar -C / -c bin/busybox | docker import - %[1]s/box:1 && docker push -q %[1]s/box:1 && docker rmi -f %[1]s/box:1", registryAt))
	on(t, dockerHost, fmt.Sprintf("docker pull -q %[1]s/box:1 && docker run --rm %[1]s/box:1 /bin/busybox true", registryAt))

	// A user has another password: the registry goes on, and the login follows.
	pid := on(t, "cache1", "systemctl show -P MainPID docker-registry")
	hashes := on(t, "cache1", "cat /etc/docker/registry/htpasswd")
	apply(0, "second-one")
	if on(t, "cache1", "systemctl show -P MainPID docker-registry") != pid {
		t.Error("the registry was restarted for a password")
	}
	bob := func(list string) string { return list[strings.Index(list, "bob:"):] }
	if now := on(t, "cache1", "cat /etc/docker/registry/htpasswd"); now == hashes || bob(now) != bob(hashes) {
		t.Errorf("users were\n%s\nand are\n%s", hashes, now)
	}
	login := on(t, dockerHost, "cat /root/.docker/config.json")
	if r := apply(4, "wrong-one", "--limit", dockerHost); !strings.Contains(r.Out+r.Err, registryAt+" refuses the user ada") || on(t, dockerHost, "cat /root/.docker/config.json") != login {
		t.Errorf("a wrong password:\n%s%s", r.Out, r.Err)
	}
	if r := apply(0, "second-one"); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("the run after a new password:\n%s", r.Out)
	}
	on(t, dockerHost, fmt.Sprintf("docker rmi %[1]s/box:1 && docker pull -q %[1]s/box:1", registryAt))

	// What is deleted is still there until the timer comes; then it is gone.
	const curl = "curl -sk -u ada:second-one "
	digest := on(t, dockerHost, "docker image inspect -f '{{index .RepoDigests 0}}' "+registryAt+"/box:1 | cut -d@ -f2")
	layer := on(t, "cache1", curl+"-H 'Accept: application/vnd.docker.distribution.manifest.v2+json' https://"+registryAt+"/v2/box/manifests/"+digest+" | grep -o 'sha256:[0-9a-f]*' | tail -n 1")
	blob := "/var/lib/docker-registry/docker/registry/v2/blobs/sha256/" + strings.TrimPrefix(layer, "sha256:")[:2] + "/" + strings.TrimPrefix(layer, "sha256:")
	on(t, "cache1", curl+"-f -X DELETE https://"+registryAt+"/v2/box/manifests/"+digest+" && test -d "+blob)
	apply(0, "second-one", "--var", "collect=*:*:0/10")
	on(t, "cache1", "for i in $(seq 300); do [ -e "+blob+" ] || break; sleep 0.2; done; [ ! -e "+blob+" ]")
	apply(0, "second-one")
	on(t, "cache1", "for i in $(seq 50); do systemctl is-active -q docker-registry-gc || break; sleep 0.2; done; ! systemctl is-failed -q docker-registry-gc")
	on(t, dockerHost, fmt.Sprintf("docker push -q %[1]s/box:1 && docker rmi %[1]s/box:1 && docker pull -q %[1]s/box:1", registryAt))
}

// certificates makes registry.crt and registry.key in a folder, for a registry on
// cache1, and other.key, which isn't the certificate's.
func certificates(t *testing.T, dir string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	other, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "registry"}, IPAddresses: []net.IP{net.ParseIP("10.0.1.41")},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	inPEM := func(key *ecdsa.PrivateKey) []byte {
		der, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "registry.crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600),
		os.WriteFile(filepath.Join(dir, "registry.key"), inPEM(key), 0o600),
		os.WriteFile(filepath.Join(dir, "other.key"), inPEM(other), 0o600))
	if err != nil {
		t.Fatal(err)
	}
}
