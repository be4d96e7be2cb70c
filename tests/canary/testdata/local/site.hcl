# Secrets in every place of a playbook that localhost can stand for.
variable "dir" {
  type = string
}

variable "given" {
  type      = string
  sensitive = true
}

variable "password" {
  type = string
}

locals {
  derived = "derived: ${secret["local"]}"
}

play "places" {
  hosts = ["localhost"]
  vars  = { password = secret["vars"] }

  task "directory" "out" {
    path = "${var.dir}/out"
  }

  task "file" "content" {
    path    = "${var.dir}/out/content"
    content = secret["content"]
  }

  task "file" "all" {
    path    = "${var.dir}/out/all"
    content = "${local.derived} ${var.password} ${var.given} ${base64encode(secret["encoded"])}\n"
    mode    = "0600"
  }

  task "template" "conf" {
    path   = "${var.dir}/out/template"
    source = "conf.tmpl"
    vars   = { password = secret["template"] }
  }

  task "line" "line" {
    path   = "${var.dir}/out/line"
    create = true
    line   = "password = ${secret["line"]}"
  }

  task "text_block" "block" {
    path    = "${var.dir}/out/block"
    create  = true
    content = "password = ${secret["block"]}"
  }

  task "command" "stdin" {
    argv  = ["sh", "-c", "cat > /dev/null; sleep 0.1"]
    stdin = secret["stdin"]
  }

  task "command" "echo" {
    argv  = ["cat"]
    stdin = secret["output"]
  }

  task "file" "of output" {
    path    = "${var.dir}/out/output"
    content = "${task.command.echo.output.stdout}\n"
  }

  role "keeper" "keeper" {
    password = secret["role"]
    dir      = "${var.dir}/out"
  }

  task "file" "of role" {
    path    = "${var.dir}/out/role-output"
    content = role.keeper.kept
    when    = role.keeper.kept != ""
  }

  task "print" "says" {
    message = "the password is ${secret["print"]}"
  }

  task "assert" "holds" {
    condition = length(secret["assert"]) > 1
    message   = "not ${secret["assert"]}"
  }

  task "command" "fails with stdin" {
    argv     = ["sh", "-c", "cat >&2; exit 3"]
    stdin    = secret["fails"]
    on_error = "continue"
  }

  # What a program says that got nothing from muster, and reads it where it was put.
  task "command" "fails with a file" {
    shell    = "cd ${var.dir}/out; cat content all >&2; base64 content >&2; base64 -w 7 all >&2; od -An -tx1 content >&2; exit 4"
    on_error = "continue"
  }

  task "command" "prints a file" {
    shell = "cd ${var.dir}/out; cat content; cat content | base64; fold -w 9 content"
  }

  task "assert" "fails" {
    condition = strcontains(task.command["prints a file"].output.stdout, "there is no such text")
    message   = "it printed ${task.command["prints a file"].output.stdout}, and not ${secret["message"]}"
  }
}
