# The certificate of a load balancer, signed by its own key. Clients trust the new one before
# it is served; then each balancer serves it, which clients see by its fingerprint; then
# nobody trusts the old one any more.
#
#   muster secret generate tls/site --type certificate --names www.example.com --days 90
#
# In the site a balancer's certificate and what clients trust are made of the same secret:
#
#   certificates = { site = { certificate = certificate_chain(secret["tls/site"]), key = certificate_key(secret["tls/site"]) } }
#
# Where an authority signs it (ca = "tls/ca" in "generate"), clients trust that: in "accept", and
# in the site, secret["tls/ca"] takes the place of rotation.new and of secret["tls/site"]. What
# "retire" takes out is the trust in a certificate from before that was signed by its own key.
variable "certificate_names" {
  type        = list(string)
  description = "the names and addresses that it is for"
  default     = ["www.example.com"]
}
variable "certificate_days" {
  type        = number
  description = "how long it is good"
  default     = 90
}
variable "certificate_balancers" {
  type        = list(string)
  description = "the hosts that serve it"
  default     = ["lb"]
}
variable "certificate_clients" {
  type        = list(string)
  description = "the hosts that trust it"
  default     = ["app"]
}
variable "certificate_port" {
  type    = number
  default = 443
}
variable "certificate_file" {
  type        = string
  description = "the file that HAProxy reads, with the key"
  default     = "/etc/haproxy/certs/site.pem"
}
variable "certificate_trust" {
  type        = string
  description = "files in /usr/local/share/ca-certificates begin with this"
  default     = "site"
}
locals {
  folder = "/usr/local/share/ca-certificates"
}

rotation "certificate" {
  secret = "tls/site"
  every  = "30d"
  grace  = "1h"
  generate {
    type  = "certificate"
    names = var.certificate_names
    days  = var.certificate_days
  }
  accept {
    hosts  = var.certificate_clients
    become = true
    task "file" "trust" {
      path    = "${local.folder}/${var.certificate_trust}-${substr(certificate_fingerprint(rotation.new), 0, 16)}.crt"
      content = certificate_chain(rotation.new)
    }
    task "command" "update-ca-certificates" {
      argv    = ["update-ca-certificates"]
      creates = "/etc/ssl/certs/${var.certificate_trust}-${substr(certificate_fingerprint(rotation.new), 0, 16)}.pem"
    }
  }
  consumers "balancers" {
    hosts  = var.certificate_balancers
    become = true
    rolling {
      batches = [1]
    }
    task "file" "certificate" {
      path    = var.certificate_file
      mode    = "0600"
      content = "${certificate_chain(rotation.new)}${certificate_key(rotation.new)}"
    }
    task "service" "haproxy" {
      reload_on = [var.certificate_file]
    }
  }
  verify {
    hosts  = var.certificate_clients
    become = true
    # The served certificate is compared, and a client that trusts what the host trusts takes it.
    task "command" "served" {
      for_each = matching(var.certificate_balancers...)
      shell    = <<-E
        set -e
        seen=$(timeout 10 openssl s_client -connect ${hosts[each.key].address}:${var.certificate_port} -servername ${var.certificate_names[0]} -verify_return_error </dev/null 2>/dev/null |
          openssl x509 -noout -fingerprint -sha256 | sed 's/.*=//; s/://g' | tr A-F a-f)
        test "$seen" = ${certificate_fingerprint(rotation.new)}
      E
      retry {
        attempts = 20
        delay    = "500ms"
      }
    }
  }
  retire {
    hosts  = var.certificate_clients
    become = true
    task "file" "trust" {
      path  = "${local.folder}/${var.certificate_trust}-${substr(certificate_fingerprint(rotation.old), 0, 16)}.crt"
      state = "absent"
    }
    task "command" "update-ca-certificates" {
      argv    = ["update-ca-certificates", "--fresh"]
      removes = "/etc/ssl/certs/${var.certificate_trust}-${substr(certificate_fingerprint(rotation.old), 0, 16)}.pem"
    }
  }
}
