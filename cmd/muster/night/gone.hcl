# A schedule that is removed from the machine that it ran on.

variable "runner" { type = string }
variable "name" { type = string }

play "schedule" {
  hosts  = [var.runner]
  become = true

  task "unit" "timer" {
    name  = "${var.name}.timer"
    state = "absent"
  }

  task "unit" "service" {
    name  = "${var.name}.service"
    state = "absent"
  }
}
