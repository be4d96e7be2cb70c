# Keys of schedules that are removed.

variable "user" { type = string }
variable "key" { type = string }
variable "hosts" { type = list(string) }

play "keys" {
  hosts  = var.hosts
  become = true

  task "authorized_key" "login" {
    user  = var.user
    keys  = [var.key]
    state = "absent"
  }
}
