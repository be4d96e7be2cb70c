# What a schedule needs on the machine that it runs on.

variable "runner" { type = string }
variable "name" { type = string }
variable "service" { type = string }
variable "timer" { type = string }

play "schedule" {
  hosts  = [var.runner]
  become = true

  task "unit" "service" {
    name    = "${var.name}.service"
    content = var.service
  }

  task "unit" "timer" {
    name    = "${var.name}.timer"
    content = var.timer
  }

  task "service" "timer" {
    name       = "${var.name}.timer"
    enabled    = true
    restart_on = ["/etc/systemd/system/${var.name}.timer"]
  }
}
