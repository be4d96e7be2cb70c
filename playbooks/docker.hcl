# The application in containers: a registry of the site's own, Docker on the
# application servers, and the same image on all of them, by its digest.
#
#   export MUSTER_VAR_password=… MUSTER_VAR_key="$(cat registry.key)" …
#   muster apply playbooks/docker.hcl -i inventory/lab.hcl --var release=1
#
# registry.hcl has what comes before an image can be pushed: the registry, and Docker.

variable "release" {
  type        = string
  description = "the tag of the image to run"
}

variable "token" {
  type        = string
  description = "a secret of the application's"
  sensitive   = true
}

locals {
  registry = "${hosts[groups.cache[0]].address}:5000"
}

include "registry.hcl" {}

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
