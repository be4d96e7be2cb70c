# A release of the site's pages, rolled out over the application servers of
# site.hcl: first one, then half of them at a time, each taken out of HAProxy
# while its web server is restarted, and put back.
#
#   muster plan  playbooks/rollout.hcl -i inventory/lab.hcl --var release=2
#   muster apply playbooks/rollout.hcl -i inventory/lab.hcl --var release=2
#
# --tags pages only lays the pages down, which nobody sees: it can be done the
# day before.

variable "release" {
  type        = string
  description = "the release to serve"
  default     = "1"
}

variable "greeting" {
  type        = string
  description = "what its first page says"
  default     = "Good day."
}

locals {
  dir      = "/srv/releases/${var.release}"
  balancer = hosts[groups.lb[0]]
}

play "load balancer" {
  hosts  = ["lb"]
  become = true
  tags   = ["switch"]

  # A run that was cut off has left the server drained that it was at. It is put back
  # before another is taken out, whether or not anything is left to do on it. One that
  # somebody else has taken out stays so. A server that isn't up is no reason to stop:
  # the release may mend that.
  task "haproxy_server" "left" {
    for_each = groups.app
    server   = each.key
    backend  = "app"
    state    = "ready"
    on_error = "continue"
  }
}

play "pages" {
  hosts  = ["app"]
  become = true
  tags   = ["pages"]

  task "assert" "others" {
    once      = true
    condition = length(groups.app) > 1
    message   = "With one application server, nobody answers while it is restarted: add one to the group app."
  }

  role "pages" {
    release  = var.release
    root     = dirname(local.dir)
    greeting = var.greeting
  }
}

play "release" {
  hosts  = ["app"]
  become = true
  tags   = ["switch"]

  rolling {
    batches      = [1, "50%"]
    max_failures = 0

    before {
      task "haproxy_server" "drain" {
        on            = ["lb"]
        server        = host.name
        backend       = "app"
        state         = "drain"
        drain_timeout = "30s"
      }
    }

    after {
      task "haproxy_server" "ready" {
        on      = ["lb"]
        server  = host.name
        backend = "app"
        state   = "ready"
      }
      task "print" "back" {
        message = "${host.name} is ${task.haproxy_server.ready.output.state} in HAProxy again."
      }
    }
  }

  role "release" {
    dir  = local.dir
    port = host.vars.app_port
    answers = {
      "/"            = host.name
      "/release.txt" = "release ${var.release}\n"
    }
  }
}

# Where the play above stops, what follows isn't done.
play "record" {
  hosts  = ["app"]
  become = true
  tags   = ["switch"]

  task "http_check" "through" {
    url      = "http://${local.balancer.address}/release.txt"
    contains = "release ${var.release}\n"
    retry {
      attempts = 5
      delay    = "1s"
    }
  }

  # Every server has asked before it is written down.
  barrier {}

  task "file" "releases" {
    once    = true
    on      = ["log"]
    path    = "/var/log/release"
    content = "${var.release}\n"
  }
}

# With this play at the end, a run that is cut off isn't done on the load balancer:
# --resume begins with its first play, too.
play "served" {
  hosts  = ["lb"]
  become = true
  tags   = ["switch"]

  task "print" "where" {
    message = "Release ${var.release} is served at http://${host.address}/"
  }
}
