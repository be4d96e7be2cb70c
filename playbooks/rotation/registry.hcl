# The login of Docker hosts at a registry: two accounts have passwords in turn, since its list
# of users keeps one hash of each. The host that isn't over yet uses the other account.
#
#   muster rotate registry --var registry=registry.example.com:5000 --var 'consumers=["app"]'
#
# The secret is ACCOUNT:PASSWORD, and set so first: printf deploy-a:… | muster secret set registry/deploy.
# The site sets the account that it names (htpasswd_user), and keeps both (keep_users of the
# role registry): docs/docker.md has it.

variable "registry" {
  type        = string
  description = "the registry, as images name it"
  default     = "10.0.1.41:5000"
}

variable "server" {
  type        = string
  description = "the host that it runs on"
  default     = "cache1"
}

variable "users_file" {
  type        = string
  description = "the registry's list of users"
  default     = "/etc/docker/registry/htpasswd"
}

variable "consumers" {
  type        = list(string)
  description = "the hosts that pull from it"
  default     = ["app"]
}

variable "batch" {
  type        = number
  description = "how many of them go over at once"
  default     = 1
}

variable "image" {
  type        = string
  description = "an image that each pulls with the new login, before the next host goes over; by default the login alone is proved"
  default     = null
  nullable    = true
}

rotation "registry" {
  secret   = "registry/deploy"
  every    = "30d"
  grace    = "0s"
  strategy = "alternate"
  accounts = ["deploy-a", "deploy-b"]
  generate {
    length = 40
  }
  accept {
    hosts  = [var.server]
    become = true
    task "htpasswd_user" "new" {
      path     = var.users_file
      name     = account(rotation.new)
      password = password(rotation.new)
    }
  }
  consumers "docker" {
    hosts  = var.consumers
    become = true
    rolling {
      batches = [var.batch]
    }
    task "docker_login" "registry" {
      registry = var.registry
      user     = account(secret["registry/deploy"])
      password = password(secret["registry/deploy"])
    }
    task "command" "pull" {
      when = var.image != null
      argv = ["docker", "pull", "--quiet", var.image == null ? "" : var.image]
    }
  }
  retire {
    hosts  = [var.server]
    become = true
    task "htpasswd_user" "old" {
      path  = var.users_file
      name  = account(rotation.old)
      state = "absent"
    }
  }
}
