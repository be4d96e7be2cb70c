# The key with which a user logs in from some hosts to others: a deployment's, a backup's.
# The new key is let in beside the old one; each host that uses it gets it, and has proved
# it by a new connection and sudo before the next does; then the old one is taken out.
#
#   muster secret generate ssh/deploy --type ssh_key
#
# ssh reads a key's file twice, for its public half and to sign. So the file isn't replaced:
# each key has one of its own, and a line of ssh's configuration, which is read once, names it.
# The user's own has "Include deploy_key.conf" in front.
#
# The site has the same, so that a plain run finds nothing to do, whichever key is in use:
#
#   locals { deploy_key = "/home/deploy/.ssh/deploy_key-${substr(sha256(ssh_public_key(secret["ssh/deploy"])), 0, 16)}" }
#   task "authorized_key" "deploy" { keys = [ssh_public_key(secret["ssh/deploy"])] }  # where it logs in
#   task "file" "key" {                                                               # where it comes from
#     path    = local.deploy_key
#     owner   = "deploy"
#     mode    = "0600"
#     content = secret["ssh/deploy"]
#   }
#   task "file" "/home/deploy/.ssh/deploy_key.conf" { content = "IdentityFile ${local.deploy_key}\n" }
variable "deploy_user" {
  type        = string
  description = "who logs in, on both sides"
  default     = "deploy"
}
variable "deploy_to" {
  type        = list(string)
  description = "the hosts that are logged in to"
  default     = ["app"]
}
variable "deploy_from" {
  type        = list(string)
  description = "the hosts that have the private key"
  default     = ["log"]
}
variable "deploy_folder" {
  type        = string
  description = "the folder of the private key"
  default     = "/home/deploy/.ssh"
}
variable "deploy_allowed" {
  type        = list(string)
  description = "what the user may do there by sudo, without a password, and without an effect"
  default     = ["true"]
}

rotation "deploy_key" {
  secret = "ssh/deploy"
  every  = "90d"
  grace  = "1h"
  generate {
    type    = "ssh_key"
    comment = var.deploy_user
  }
  accept {
    hosts  = var.deploy_to
    become = true
    task "authorized_key" "new" {
      user = var.deploy_user
      keys = [ssh_public_key(rotation.new)]
    }
  }
  consumers "key" {
    hosts  = var.deploy_from
    become = true
    rolling {
      batches = [1]
    }
    task "file" "key" {
      path    = "${var.deploy_folder}/deploy_key-${substr(sha256(ssh_public_key(rotation.new)), 0, 16)}"
      owner   = var.deploy_user
      mode    = "0600"
      content = rotation.new
    }
    task "command" "log in" { # a connection of its own, with this key alone
      for_each = matching(var.deploy_to...)
      argv = concat(["runuser", "-u", var.deploy_user, "--", "ssh", "-F", "none", "-i", "${var.deploy_folder}/deploy_key-${substr(sha256(ssh_public_key(rotation.new)), 0, 16)}",
        "-o", "IdentitiesOnly=yes", "-o", "IdentityAgent=none", "-o", "BatchMode=yes", "-o", "ConnectTimeout=10",
      "${var.deploy_user}@${hosts[each.key].address}", "sudo", "-n"], var.deploy_allowed)
      retry {
        attempts = 3
        delay    = "1s"
      }
    }
    task "file" "configuration" {
      path    = "${var.deploy_folder}/deploy_key.conf"
      content = "IdentityFile ${var.deploy_folder}/deploy_key-${substr(sha256(ssh_public_key(rotation.new)), 0, 16)}\n"
    }
  }
  retire {
    hosts  = concat(var.deploy_to, var.deploy_from)
    become = true
    task "authorized_key" "old" {
      when  = contains(matching(var.deploy_to...), host.name)
      user  = var.deploy_user
      keys  = [ssh_public_key(rotation.old)]
      state = "absent"
    }
    task "file" "old" {
      when  = contains(matching(var.deploy_from...), host.name)
      path  = "${var.deploy_folder}/deploy_key-${substr(sha256(ssh_public_key(rotation.old)), 0, 16)}"
      state = "absent"
    }
  }
}
