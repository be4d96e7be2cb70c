variable "password" {
  type = string
}

variable "dir" {
  type = string
}

task "file" "kept" {
  path    = "${var.dir}/role"
  content = "password = ${var.password}\n"
}

output "kept" {
  value     = "kept ${var.password}"
  sensitive = true
}
