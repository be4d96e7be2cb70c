# The key with which muster itself logs in. The new key is let in on every host beside the
# old one; then it takes the old one's place in the file that the inventory names
# ("identity"); then every host has to have let muster in with it, and to sudo; then the old
# key is taken out, by connections with the new one.
#
#   muster secret generate ssh/automation --type ssh_key
#
# A bastion is in no group: to rotate its key, too, it has to be a host besides.
variable "automation_user" {
  type        = string
  description = "as whom muster logs in"
  default     = "ops"
}
variable "automation_hosts" {
  type        = list(string)
  description = "the hosts that it logs in to: [\"all\", \"!localhost\"]"
}
variable "automation_controller" {
  type        = string
  description = "this machine: a host of the inventory with connection = \"local\""
}
variable "automation_key" {
  type        = string
  description = "the absolute path of the private key"
}

rotation "automation_key" {
  secret = "ssh/automation"
  every  = "90d"
  grace  = "1h"
  generate {
    type    = "ssh_key"
    comment = "automation"
  }
  accept {
    hosts  = var.automation_hosts
    become = true
    task "authorized_key" "new" {
      user = var.automation_user
      keys = [ssh_public_key(rotation.new)]
    }
  }
  consumers "controller" {
    hosts = [var.automation_controller]
    task "file" "key" {
      path    = var.automation_key
      mode    = "0600"
      content = rotation.new
    }
  }
  verify {
    hosts  = var.automation_hosts
    become = true
    # muster may have other keys to offer: sshd's own note tells by which it has come in.
    task "command" "logged in with it" {
      shell = "journalctl --quiet --no-pager --since=-15min -t sshd -t sshd-session | grep -F ' Accepted publickey for ${var.automation_user} ' | grep -qF ' ${ssh_fingerprint(rotation.new)}'"
      retry {
        attempts = 10
        delay    = "500ms"
      }
    }
  }
  retire {
    hosts  = var.automation_hosts
    become = true
    task "authorized_key" "old" {
      user  = var.automation_user
      keys  = [ssh_public_key(rotation.old)]
      state = "absent"
    }
  }
}
