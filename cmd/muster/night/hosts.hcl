variable "hosts" { type = list(string) }
variable "sum" { type = map(string) }

play "hosts" {
  hosts  = var.hosts
  become = true

  task "user" "login" {
    name          = var.user
    system        = true
    create_home   = true
    home          = "/var/lib/${var.user}"
    shell         = "/bin/sh"
    password_hash = "*"
    comment       = local.what
  }

  task "directory" "/usr/local/lib/muster" {
    owner   = "root"
    group   = "root"
    mode    = "0755"
    parents = true
  }

  # What those who may change the host had planned is noted here: see docs/night.md.
  task "directory" "/var/lib/muster/night" {
    owner   = "root"
    group   = "root"
    mode    = "0700"
    parents = true
  }

  task "file" "/usr/local/lib/muster/remote" {
    source = "remote-${host.facts.architecture}"
    owner  = "root"
    group  = "root"
    mode   = "0755"
  }

  task "sudoers" "login" {
    name  = var.user
    rules = ["${var.user} ALL=(root) NOPASSWD: sha256:${var.sum[host.facts.architecture]} /usr/local/lib/muster/remote ${local.does}"]
  }

  task "file" "forced" {
    path    = local.forced
    owner   = "root"
    group   = "root"
    mode    = "0755"
    content = <<-EOT
      #!/bin/sh
      # The one command of ${var.user}'s key. What it is asked for counts for nothing.
      printf '\nmuster-in-place ${var.sum[host.facts.architecture]}\n'
      exec sudo -n -H -u root -- /usr/local/lib/muster/remote${var.plans ? " plans" : ""}
    EOT
  }

  task "authorized_key" "login" {
    user      = var.user
    keys      = [var.key]
    options   = "restrict,command=\"${local.forced}\""
  }
}
