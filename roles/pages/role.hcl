description = "The pages of a release, in a folder of their own beside the releases before. Nothing serves them yet."

variable "release" {
  type        = string
  description = "the release's name"
  validation {
    condition = can(regex("^[a-z0-9][a-z0-9.-]*$", var.release))
    message   = "A release's name is made of lower-case letters, digits, dots and dashes."
  }
}

variable "root" {
  type        = string
  description = "the folder of all releases"
  default     = "/srv/releases"
  validation {
    condition = startswith(var.root, "/") && !endswith(var.root, "/")
    message   = "This is an absolute path, without a slash at its end."
  }
}

variable "greeting" {
  type        = string
  description = "what the first page says"
  default     = "Good day."
}

locals {
  dir = "${var.root}/${var.release}"
}

task "directory" "root" {
  path = var.root
}

task "directory" "release" {
  path = local.dir
}

task "template" "index" {
  path   = "${local.dir}/index.html"
  source = "index.html.tmpl"
  vars   = { release = var.release, greeting = var.greeting }
}

task "file" "name" {
  path    = "${local.dir}/release.txt"
  content = "release ${var.release}\n"
}
