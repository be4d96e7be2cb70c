# A registry of the site's own, and Docker on the servers that pull from it.
#
#   export MUSTER_VAR_password=… MUSTER_VAR_key="$(cat registry.key)" …
#   muster apply playbooks/registry.hcl -i inventory/lab.hcl

variable "certificate" {
  type        = string
  description = "the registry's certificate, in PEM form"
}

variable "key" {
  type        = string
  description = "its key, in PEM form"
  sensitive   = true
}

variable "password" {
  type        = string
  description = "with which the application servers pull"
  sensitive   = true
}

locals {
  registry = "${hosts[groups.cache[0]].address}:5000"
}

play "registry" {
  hosts  = ["cache"]
  become = true
  tags   = ["registry"]

  role "registry" {
    listen      = "${host.address}:5000"
    certificate = var.certificate
    key         = var.key
    users       = { app = var.password }
  }
}

play "docker" {
  hosts  = ["app", "staging"]
  become = true
  tags   = ["docker"]

  role "docker" {
    settings = { log-driver = "json-file", log-opts = { max-size = "20m", max-file = 3 } }
  }

  task "directory" "/etc/docker/certs.d" {}
  task "directory" "certificates" { path = "/etc/docker/certs.d/${local.registry}" }
  task "file" "certificate" {
    path    = "/etc/docker/certs.d/${local.registry}/ca.crt"
    content = var.certificate
  }

  task "docker_login" "registry" {
    registry = local.registry
    user     = "app"
    password = var.password
  }
}
