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
  socat    = "socat - UNIX-CONNECT:/run/haproxy/admin.sock"
}

play "load balancer" {
  hosts  = ["lb"]
  become = true
  tags   = ["switch"]

  # It speaks to HAProxy's admin socket.
  task "package" "socat" {}

  # A run that was cut off has left the server drained that it was at. It is put
  # back before another is taken out, whether or not anything is left to do on it.
  # Of a server's row, the fourth column is its name, the seventh how it was put
  # out: 8 is drained, and 1 would be maintenance, which isn't ours to end.
  task "command" "drained" {
    read_only = true
    shell     = "echo 'show servers state app' | ${local.socat} | awk '$7 == 8 { print $4 }'"
  }

  task "command" "ready" {
    for_each = groups.app
    when     = contains(split("\n", task.command.drained.output.stdout), each.key)
    shell    = "echo 'set server app/${each.key} state ready' | ${local.socat}"
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
      role "haproxy_server" "drain" {
        backend = "app"
        server  = host.name
        state   = "drain"
      }
    }

    after {
      role "haproxy_server" "ready" {
        backend = "app"
        server  = host.name
        state   = "ready"
      }
      task "print" "back" {
        message = "${host.name} is ${role.ready.settled} in HAProxy again."
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
