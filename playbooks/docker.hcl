# The application in containers: a registry of the site's own, Docker on the
# application servers, and the same image on all of them, by its digest.
#
#   export MUSTER_VAR_password=… MUSTER_VAR_key="$(cat registry.key)" …
#   muster apply playbooks/docker.hcl -i inventory/lab.hcl --var release=1
#
# --tags registry sets up the registry alone, before anything was pushed to it.

variable "release" {
  type        = string
  description = "the tag of the image to run"
}

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

variable "token" {
  type        = string
  description = "a secret of the application's"
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

# One after the other: while one is made anew the other answers.
play "application" {
  hosts  = ["app"]
  become = true
  tags   = ["application"]
  rolling {
    batches = [1]
  }

  task "docker_network" "app" {}

  task "docker_volume" "app-data" {}

  task "docker_container" "app" {
    image    = "${local.registry}/app:${var.release}"
    pull     = "always"
    networks = ["app"]
    env      = { SERVER = host.name }
    secrets  = { token = var.token }
    ports    = ["8081:80"]
    volumes  = ["app-data:/data"]
    memory   = "64m"
    cpus     = 0.5
    health   = { test = ["busybox", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1/release"], interval = "1s", retries = 2 }
    wait     = "30s"
  }
}
