description = "A server's state in a backend of HAProxy, set through the admin socket, and the wait until it has come about."

variable "backend" {
  type        = string
  description = "the backend, as haproxy.cfg names it"
  validation {
    condition = can(regex("^[A-Za-z0-9_.:-]+$", var.backend))
    message   = "HAProxy's names are made of letters, digits and _ . : -"
  }
}

variable "server" {
  type        = string
  description = "the server in it"
  validation {
    condition = can(regex("^[A-Za-z0-9_.:-]+$", var.server))
    message   = "HAProxy's names are made of letters, digits and _ . : -"
  }
}

variable "state" {
  type        = string
  description = "drain (no new requests; those under way are waited for) or ready (requests, once HAProxy has found it up)"
  validation {
    condition = contains(["drain", "ready"], var.state)
    message   = "A server is put into the state drain or ready."
  }
}

variable "balancers" {
  type        = list(string)
  description = "the hosts that HAProxy runs on: groups, hosts, patterns"
  default     = ["lb"]
}

variable "socket" {
  type        = string
  description = "HAProxy's admin socket there"
  default     = "/run/haproxy/admin.sock"
}

variable "patience" {
  type        = number
  description = "how many seconds requests may take to end, and a server to be found up"
  default     = 30
  validation {
    condition = var.patience >= 1 && var.patience == floor(var.patience)
    message   = "The patience is a whole number of seconds, 1 at least."
  }
}

locals {
  socat = "socat - UNIX-CONNECT:${var.socket}"
  stat  = "echo 'show stat' | ${local.socat}"
}

# This looks at its turn, each time: what was so while planning may have changed.
task "command" "others" {
  on           = var.balancers
  when         = var.state == "drain"
  changed_when = false
  shell        = <<-SH
    ${local.stat} | grep -Ev '^${var.backend},(${var.server}|BACKEND),' | grep -q '^${var.backend},.*,UP,' ||
      { echo 'no other server of ${var.backend} is up' >&2; exit 1; }
  SH
  retry {
    attempts = var.patience
    delay    = "1s"
  }
}

# HAProxy answers with a line where it refuses, and with an empty one else.
task "command" "state" {
  on    = var.balancers
  shell = "echo 'set server ${var.backend}/${var.server} state ${var.state}' | ${local.socat} | { ! grep . >&2; }"
}

# Of the server's row, the fifth column is how many requests are under way, the
# eighteenth its state.
task "command" "settled" {
  on        = var.balancers
  read_only = true
  shell     = "${local.stat} | awk -F, '$1 == \"${var.backend}\" && $2 == \"${var.server}\" { print ${var.state == "drain" ? "$5" : "$18"} }'"
  retry {
    attempts = var.patience
    delay    = "1s"
    until    = var.state == "drain" ? task.command.settled.output.stdout == "0" : startswith(task.command.settled.output.stdout, "UP")
  }
}

output "settled" {
  description = "the state that HAProxy has the server in, or how many requests are under way where it is drained"
  value       = task.command.settled.output.stdout
}
