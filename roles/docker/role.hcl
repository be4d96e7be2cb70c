description = "Docker, from the distribution or from a repository such as Docker's own, with its settings, and who may use it."

variable "settings" {
  type        = any
  description = "the daemon's settings, as in daemon.json"
  default     = {}
}

variable "live_restore" {
  type        = bool
  description = "whether containers go on running while the daemon is restarted"
  default     = true
}

variable "users" {
  type        = list(string)
  description = "the members of the group docker, who can do all that root can; by default they are left as they are"
  default     = null
}

variable "version" {
  type        = string
  description = "the version of the package; \"*\" in it stands for any text. By default one that is there stays"
  default     = null
}

variable "latest" {
  type        = bool
  description = "whether a package that is there is brought to the newest version; its daemon is started anew then"
  default     = false
}

variable "repository" {
  type = object({
    uri        = string                            # "https://download.docker.com/linux/debian"
    suite      = string                            # "bookworm"
    key        = string                            # the text of its public key, as it is published
    components = optional(list(string), ["stable"])
    packages   = optional(list(string), ["docker-ce", "docker-ce-cli"])
    besides    = optional(list(string), ["containerd.io"]) # those that have versions of their own
  })
  description = "a repository that Docker comes from, with packages named as Docker's own; by default it is the distribution's docker.io"
  default     = null
  validation {
    condition = var.repository == null || can(regex("^-----BEGIN PGP PUBLIC KEY BLOCK-----", trimspace(var.repository.key)))
    message   = "The key is the text of a public key, which begins with -----BEGIN PGP PUBLIC KEY BLOCK-----."
  }
  validation {
    condition = var.repository == null || can(regex("^[a-z]+:[^ \n]+$", var.repository.uri))
    message   = "The URI of a repository is one such as https://download.docker.com/linux/debian."
  }
}

locals {
  foreign  = var.repository != null
  packages = local.foreign ? var.repository.packages : ["docker.io"]
  besides  = local.foreign ? var.repository.besides : []
}

task "directory" "/etc/apt/keyrings" {
  when = local.foreign
}

task "file" "/etc/apt/keyrings/docker.asc" {
  when    = local.foreign
  content = local.foreign ? "${trimspace(var.repository.key)}\n" : null
}

# What Docker's older instructions leave: with another key for the same repository
# apt refuses to work at all.
task "file" "/etc/apt/sources.list.d/docker.list" {
  when  = local.foreign
  state = "absent"
}

task "file" "/etc/apt/sources.list.d/docker.sources" {
  when    = local.foreign
  content = local.foreign ? join("", [for line in [
    "Types: deb",
    "URIs: ${var.repository.uri}",
    "Suites: ${var.repository.suite}",
    endswith(var.repository.suite, "/") ? "" : "Components: ${join(" ", var.repository.components)}",
    "Signed-By: /etc/apt/keyrings/docker.asc",
  ] : "${line}\n" if line != ""]) : null
}

# None of them is started here: that is docker_engine's, with the settings.
task "package" "docker" {
  name  = concat([for p in local.packages : var.version == null ? p : "${p}=${var.version}"], local.besides)
  state = var.latest && var.version == null ? "latest" : "present"
}

task "docker_engine" "docker" {
  settings     = var.settings
  live_restore = var.live_restore
}

task "service" "docker" {
  enabled = true
}

task "group" "docker" {
  when    = var.users != null
  system  = true
  members = var.users
}

output "packages" {
  description = "the versions that are installed, by package"
  value       = task.package.docker.output.versions
}
