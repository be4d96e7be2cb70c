# The project, for a schedule that runs on another host: a copy that its user reads, and a
# folder for the journal that is the user's own.

variable "dir" { type = string }
variable "private" {
  type      = string
  sensitive = true
}

play "project" {
  hosts  = [var.runner]
  become = true

  task "user" "muster-night" {
    system      = true
    home        = "/var/lib/muster-night"
    create_home = true
    shell       = "/usr/sbin/nologin"
    comment     = "muster runs schedules as this user"
  }

  task "directory" "above" {
    path  = var.dir
    owner = "root"
    group = "muster-night"
    mode  = "0750"
  }

  task "directory" "state" {
    path  = "${var.dir}/state"
    owner = "muster-night"
    group = "muster-night"
    mode  = "0700"
  }

  task "file" "key" {
    path    = "${var.dir}/key"
    owner   = "muster-night"
    group   = "muster-night"
    mode    = "0600"
    content = var.private
  }

  task "directory" "project" {
    path   = "${var.dir}/project"
    source = "project"
    purge  = true
    owner  = "root"
    group  = "muster-night"
    mode   = "0750"
  }

  task "file" "program" {
    path   = "/usr/local/bin/muster"
    source = "muster"
    owner  = "root"
    group  = "root"
    mode   = "0755"
  }
}

