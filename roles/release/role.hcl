description = "Has a web server serve a folder. Where it doesn't answer as it should, the folder before is brought back, and the host fails."

variable "dir" {
  type        = string
  description = "the folder"
  validation {
    condition = can(regex("^(/[A-Za-z0-9._-]+)+$", var.dir))
    message   = "This is an absolute path of letters, digits and . _ -"
  }
}

variable "unit" {
  type        = string
  description = "the unit of the web server, without .service"
  default     = "web"
}

variable "port" {
  type        = number
  description = "where it listens"
  validation {
    condition = var.port > 0 && var.port < 65536 && var.port == floor(var.port)
    message   = "A port is a whole number from 1 to 65535."
  }
}

variable "answers" {
  type        = map(string)
  description = "what it has to answer with then: paths, and a text that is in the answer"
  default     = { "/" = "" }
}

locals {
  drop_in = "${var.unit}.service.d/release.conf"
}

task "command" "before" {
  shell     = "cat /etc/systemd/system/${local.drop_in} 2>/dev/null || true"
  read_only = true
}

block "switch" {
  task "unit" "drop-in" {
    name    = local.drop_in
    content = <<-UNIT
      [Service]
      ExecStart=
      ExecStart=/bin/busybox httpd -f -p ${var.port} -h ${var.dir}
    UNIT
  }

  task "service" "web" {
    name = var.unit
  }

  role "smoke" "answers" {
    for_each = var.answers
    url      = "http://${host.address}:${var.port}${each.key}"
    contains = each.value
    unit     = var.unit
  }

  rescue {
    task "unit" "back" {
      name    = local.drop_in
      state   = task.command.before.output.stdout == "" ? "absent" : "present"
      content = task.command.before.output.stdout == "" ? null : "${task.command.before.output.stdout}\n"
    }
    task "service" "back" {
      name = var.unit
    }
    task "assert" "served" {
      condition = false
      message   = "${var.dir} isn't served; what was served before is again."
    }
  }

  # The log has when a folder was tried, however that went.
  always {
    task "command" "log" {
      when = task.unit.drop-in.changed
      argv = ["logger", "--tag", "muster", "${var.unit}.service: tried to serve ${var.dir}"]
    }
  }
}
