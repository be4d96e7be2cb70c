package rotate

import (
	"fmt"
	"regexp"
	"strings"

	"muster/internal/keypair"
)

// certificateScene rotates the certificate that a load balancer shows to clients, who take
// no other than they trust.
func certificateScene() scene {
	return scene{
		name:     "certificate",
		hosts:    []string{"lb1", "app1", "app2"},
		secret:   "tls/site",
		generate: []string{"--type", "certificate", "--names", "www.example.com"},
		site:     certificateTrust + certificateBalancer + certificateLoad,
		rotation: shipped("certificate"),
		vars:     map[string]string{"certificate_balancers": `["lb1"]`, "certificate_clients": `["app1", "app2"]`},
		load:     onHosts{"app1", "app2"},
		lets:     served,
		acceptor: "app1",
		consumer: "lb1",
		outage:   regexp.MustCompile(`curl: \((7|28|35|52|55|56)\)`),
		steps:    8,
	}
}

// authorityScene is that of a certificate by the project's own authority, which takes the
// place of one that was signed by its own key: clients come to trust the authority first.
func authorityScene() scene {
	s := certificateScene()
	s.name, s.of = "certificate_ca", "certificate"
	s.site = certificateBalancer + certificateLoad
	s.files = map[string]string{"first.hcl": certificateTrust}
	s.rotation = byAuthority(s.rotation)
	s.prepare = func(p *project) {
		p.t.Helper()
		p.ends(0, "secret", "generate", "tls/ca", "--type", "certificate", "--authority", "--common-name", "Lab CA", "--days", "3650")
		p.ends(0, "apply", "first.hcl", "--yes")
	}
	s.lets = servedAlone
	s.after = func(p *project) {
		p.t.Helper()
		for _, client := range []string{"app1", "app2"} {
			if n := theLab.On(p.t, client, "ls /usr/local/share/ca-certificates/site-*.crt | wc -l"); n != "1" {
				p.t.Errorf("%s trusts %s files, and is to trust the authority's alone", client, n)
			}
		}
	}
	return s
}

// byAuthority is the rotation as its head says that it is for a certificate by an authority.
func byAuthority(text string) string {
	text = strings.Replace(text, `type  = "certificate"`, `type  = "certificate"`+"\n    ca    = \"tls/ca\"", 1)
	before, rest, _ := strings.Cut(text, "  accept {")
	accept, after, ok := strings.Cut(rest, "  consumers ")
	if !ok {
		panic("the rotation of certificates has no accept, or no consumers")
	}
	return before + "  accept {" + strings.ReplaceAll(accept, "rotation.new", `secret["tls/ca"]`) + "  consumers " + after
}

// servedAlone reports whether clients are served a value, and trust it.
func servedAlone(p *project, value string) bool {
	fingerprint, err := keypair.Fingerprint(value)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, client := range []string{"app1", "app2"} {
		if servedTo(p, client) != fingerprint {
			return false
		}
	}
	return true
}

// servedTo is the fingerprint of the certificate that a client is served, and trusts.
func servedTo(p *project, client string) string {
	seen := theLab.On(p.t, client, fmt.Sprintf("openssl s_client -connect %s:443 -servername www.example.com -verify_return_error </dev/null 2>/dev/null | openssl x509 -noout -fingerprint -sha256 2>/dev/null || true", address("lb1")))
	return strings.ToLower(strings.ReplaceAll(seen[strings.IndexByte(seen, '=')+1:], ":", ""))
}

// served reports whether clients trust a value, and are served one that they trust: that
// value itself, where it is the only one.
func served(p *project, value string) bool {
	fingerprint, err := keypair.Fingerprint(value)
	if err != nil {
		p.t.Fatal(err)
	}
	chain, err := keypair.Chain(value)
	if err != nil {
		p.t.Fatal(err)
	}
	for _, client := range []string{"app1", "app2"} {
		if theLab.On(p.t, client, fmt.Sprintf("openssl verify -CApath /etc/ssl/certs >/dev/null 2>&1 <<'E' && echo yes || echo no\n%sE", chain)) != "yes" {
			return false
		}
	}
	seen := servedTo(p, "app2")
	if v := p.values(); !v.open() && value == v.current {
		return seen == fingerprint
	}
	return seen != ""
}

const certificateTrust = `
locals {
  trust = "site-${substr(certificate_fingerprint(secret["tls/site"]), 0, 16)}"
}
play "clients" {
  hosts  = ["app1", "app2"]
  become = true
  task "file" "trust" {
    path    = "/usr/local/share/ca-certificates/${local.trust}.crt"
    content = certificate_chain(secret["tls/site"])
  }
  task "command" "update-ca-certificates" {
    argv    = ["update-ca-certificates"]
    creates = "/etc/ssl/certs/${local.trust}.pem"
  }
}
`

const certificateBalancer = `
play "balancer" {
  hosts  = ["lb1"]
  become = true
  role "haproxy" {
    frontend = {
      web = {
        bind         = [{ address = ":443", certificates = "/etc/haproxy/certs/site.pem" }]
        http_request = ["return status 200"]
      }
    }
    certificates = { site = { certificate = certificate_chain(secret["tls/site"]), key = certificate_key(secret["tls/site"]) } }
  }
}
`

const certificateLoad = `
play "load" {
  hosts  = ["app1", "app2"]
  become = true
  task "hosts_entry" "balancer" {
    address = hosts["lb1"].address
    names   = ["lb1", "www.example.com"]
  }
  task "file" "/usr/local/bin/visit" {
    mode    = "0755"
    content = <<-E
      #!/bin/sh
      while :; do
        if said=$(curl -sS --max-time 10 -o /dev/null https://www.example.com/ 2>&1); then echo in >>/var/log/load.served; else echo "$said" >>/var/log/load.failed; fi
        sleep 0.05
      done
    E
  }
  task "unit" "visit.service" {
    content = <<-E
      [Service]
      ExecStart=/usr/local/bin/visit
      [Install]
      WantedBy=multi-user.target
    E
  }
  task "service" "visit" {
    enabled = true
  }
}
`
