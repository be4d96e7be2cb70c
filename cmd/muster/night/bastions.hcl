variable "bastions" { type = list(string) }
variable "opens" { type = list(string) }

play "bastions" {
  hosts  = var.bastions
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

  # It connects to hosts' SSH, and nothing else.
  task "authorized_key" "login" {
    user      = var.user
    keys      = [var.key]
    options   = "restrict,port-forwarding,${join(",", [for at in var.opens : "permitopen=\"${at}\""])},permitlisten=\"127.0.0.1:1\",command=\"/bin/false\""
  }

  # What a line of authorized_keys can't keep it from: to listen here, at a path or a port.
  task "file" "sshd" {
    path     = local.sshd
    owner    = "root"
    group    = "root"
    mode     = "0644"
    validate = ["/usr/sbin/sshd", "-t", "-f", "%s"]
    content  = <<-EOT
      # ${local.what}.
      Match User ${var.user}
        AllowTcpForwarding local
        AllowStreamLocalForwarding no
        AllowAgentForwarding no
        X11Forwarding no
        PermitTTY no
    EOT
  }

  task "service" "sshd" {
    name      = "ssh"
    reload_on = [local.sshd]
  }

  task "command" "forwarding" {
    argv      = ["/usr/sbin/sshd", "-T", "-C", "user=${var.user},host=localhost,addr=127.0.0.1"]
    read_only = true
  }

  task "assert" "forwarding" {
    condition = alltrue([for line in ["allowtcpforwarding local", "allowstreamlocalforwarding no"] : contains(split("\n", task.command.forwarding.output.stdout), line)])
    message   = "sshd doesn't read ${local.sshd}, so that this login could listen on the bastion: its sshd_config has to include /etc/ssh/sshd_config.d/*.conf."
  }
}
