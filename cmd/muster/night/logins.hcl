# The logins of schedules, as "muster schedule install" makes them: their keys can have
# nothing run but muster's remote, which is in place, root's, and known by its SHA-256.

variable "user" { type = string }
variable "key" { type = string }
variable "plans" { type = bool }

locals {
  forced = "/usr/local/lib/muster/${var.user}"
  does   = var.plans ? "plans" : "\"\""
  sshd   = "/etc/ssh/sshd_config.d/${var.user}.conf"
  what   = var.plans ? "muster may only plan by this login" : "muster makes rotations by this login"
}
