package rotate

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"regexp"
	"strings"
	"time"

	"muster/tests/await"
)

// registryAt is where the registry of the scene listens: on cache1.
const registryAt = "10.0.1.41:5000"

// registryScene rotates the login of two Docker hosts at a registry that keeps one password
// of each account, while both pull with what they have stored.
func registryScene() scene {
	return scene{
		name:     "registry",
		hosts:    []string{"cache1", "app1", "app2"},
		docker:   []string{"app1", "app2"},
		secret:   "registry/deploy",
		value:    func(*project) string { return "deploy-a:first-of-all-passwords" },
		site:     registrySite,
		rotation: registryRotation(),
		vars:     map[string]string{"registry": registryAt, "image": registryAt + "/box:1"},
		prepare:  (*project).registry,
		load:     onHosts{"app1", "app2"},
		lets: func(p *project, value string) bool {
			return theLab.On(p.t, "app2", "curl -sk -o /dev/null -w '%{http_code}' -u "+value+" https://"+registryAt+"/v2/") == "200"
		},
		acceptor: "cache1",
		consumer: "app1",
		outage:   registryOutage,
		steps:    7,
	}
}

// registryOutage is what Docker says of a registry that has no power or isn't up yet, and of
// itself while it stops.
var registryOutage = regexp.MustCompile(`connection refused|no route to host|i/o timeout|connection reset|handshake timeout|deadline exceeded|request canceled|[^a-z]EOF|annot connect to the Docker daemon|context canceled`)

func registryRotation() string {
	text, err := os.ReadFile("../../playbooks/rotation/registry.hcl")
	if err != nil {
		panic(err)
	}
	return string(text)
}

// registry makes the registry's certificate, and puts an image there.
func (p *project) registry() {
	p.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		p.t.Fatal(err)
	}
	cert := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "registry"}, IPAddresses: []net.IP{net.ParseIP("10.0.1.41")},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		p.t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		p.t.Fatal(err)
	}
	p.write("registry.crt", string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})))
	p.write("registry.key", string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private})))
	p.ends(0, "apply", "site.hcl", "--yes", "--tags", "registry")
	theLab.On(p.t, "app1", "command -v busybox || apt-get install -yqq busybox-static")
	theLab.On(p.t, "app1", strings.ReplaceAll("tar -C / -c bin/busybox | docker import - AT/box:1 && docker push -q AT/box:1", "AT", registryAt))
	await.Until(p.t, "the other host pulls", func() bool {
		return theLab.On(p.t, "app2", "docker pull -q "+registryAt+"/box:1 >&2 && echo pulled || true") == "pulled"
	})
}

// registrySite has the registry, the logins, and on both hosts something that pulls with the
// stored login all the time: as Docker does, it reads config.json anew for each pull.
const registrySite = `
variable "registry" { type = string }
variable "image" { type = string }
play "registry" {
  hosts  = ["cache1"]
  become = true
  tags   = ["registry"]
  role "registry" {
    listen      = var.registry
    certificate = file("registry.crt")
    key         = sensitive(file("registry.key"))
    users       = { ada = "somebody-else-alone" }
    keep_users  = ["deploy-a", "deploy-b"]
    collect     = null
  }
  task "htpasswd_user" "deploy" {
    path     = "/etc/docker/registry/htpasswd"
    name     = account(secret["registry/deploy"])
    password = password(secret["registry/deploy"])
  }
}
play "docker" {
  hosts  = ["app1", "app2"]
  become = true
  tags   = ["registry"]
  task "package" "docker" { name = ["docker.io", "curl"] }
  task "service" "docker" { enabled = true }
  task "directory" "/etc/docker/certs.d" {}
  task "directory" "certificates" { path = "/etc/docker/certs.d/${var.registry}" }
  task "file" "certificate" {
    path    = "/etc/docker/certs.d/${var.registry}/ca.crt"
    content = file("registry.crt")
  }
  task "docker_login" "registry" {
    registry = var.registry
    user     = account(secret["registry/deploy"])
    password = password(secret["registry/deploy"])
  }
}
play "load" {
  hosts  = ["app1", "app2"]
  become = true
  task "file" "/usr/local/bin/load" {
    mode    = "0755"
    content = <<-E
      #!/bin/sh
      while :; do
        if said=$(docker pull -q ${var.image} 2>&1); then echo pulled >>/var/log/load.served; else echo "$said" >>/var/log/load.failed; fi
        sleep 0.1
      done
    E
  }
  task "unit" "load.service" {
    content = <<-E
      [Unit]
      After=docker.service
      [Service]
      Environment=HOME=/root
      ExecStart=/usr/local/bin/load
      [Install]
      WantedBy=multi-user.target
    E
  }
  task "service" "load" { enabled = true }
}
`
