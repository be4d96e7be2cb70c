description = "An application in a container, which answers with its release. Where it doesn't, the container before is brought back, and the host fails."

variable "name" {
  type        = string
  description = "the container's name"
}

variable "image" {
  type        = string
  description = "its image, by a tag or a digest"
}

variable "port" {
  type        = number
  description = "where it answers on the host; in the container it is 80"
  validation {
    condition = var.port > 0 && var.port < 65536 && var.port == floor(var.port)
    message   = "A port is a whole number from 1 to 65535."
  }
}

variable "memory" {
  type        = string
  description = "how much it may use, as in 64m"
  default     = null
}

variable "env" {
  type        = map(string)
  description = "variables of its environment"
  default     = {}
}

variable "secrets" {
  type        = map(string)
  description = "what it reads from files, by name: each is /run/secrets/NAME in the container"
  default     = null
  sensitive   = true
}

variable "health" {
  type        = string
  description = "the path that it answers with 200 where it is well"
  default     = "/health"
}

variable "answers" {
  type        = map(string)
  description = "what it has to answer with then: paths, and a text that is in the answer"
  default     = {}
}

locals {
  url = "http://${host.address}:${var.port}"
  container = {
    ports = ["${var.port}:80"]
    test  = ["busybox", "wget", "-q", "-O", "/dev/null", "http://127.0.0.1${var.health}"]
  }
}

# The image by its digest, where it came from a registry.
task "command" "before" {
  shell     = <<-SH
    command -v docker >/dev/null && image=$(docker inspect -f '{{.Image}}' ${var.name} 2>/dev/null) || exit 0
    docker image inspect -f '{{if .RepoDigests}}{{index .RepoDigests 0}}{{else}}{{.Id}}{{end}}' "$image"
  SH
  read_only = true
}

block "replace" {
  # One that isn't healthy is put back by the task itself.
  task "docker_container" "app" {
    name    = var.name
    image   = var.image
    pull    = can(regex("@sha256:", var.image)) ? "missing" : "always" # a tag may have moved
    env     = var.env
    secrets = var.secrets
    ports   = local.container.ports
    memory  = var.memory
    health  = { test = local.container.test, interval = "1s", retries = 2 }
    wait    = "30s"
  }

  # That it is healthy doesn't say that it is the right one.
  task "http_check" "answers" {
    for_each = merge({ (var.health) = "" }, var.answers)
    url      = "${local.url}${each.key}"
    contains = each.value == "" ? null : each.value
    retry {
      attempts = 5
      delay    = "1s"
    }
  }

  rescue {
    task "docker_container" "back" {
      when    = task.docker_container.app.changed
      name    = var.name
      state   = task.command.before.output.stdout == "" ? "absent" : "running"
      image   = task.command.before.output.stdout == "" ? null : task.command.before.output.stdout
      env     = task.command.before.output.stdout == "" ? null : var.env
      secrets = task.command.before.output.stdout == "" ? null : var.secrets
      ports   = task.command.before.output.stdout == "" ? null : local.container.ports
      memory  = task.command.before.output.stdout == "" ? null : var.memory
      health  = task.command.before.output.stdout == "" ? null : { test = local.container.test, interval = "1s", retries = 2 }
      wait    = "30s"
    }
    task "assert" "served" {
      condition = false
      message   = "${var.image} doesn't answer as it should; what ran before runs again."
    }
  }
}
