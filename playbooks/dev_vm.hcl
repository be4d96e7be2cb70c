# A machine to develop on, from a bare Debian or Ubuntu: what a team would change stands
# here, the rest is role dev_vm's. "muster bootstrap" applies it to this machine, "muster
# bootstrap USER@HOST" to another.
#
#   ./bootstrap --var git_name="Ada Moore" --var git_email=ada@example.org

variable "git_name" {
  type        = string
  description = "the name in commits"
  default     = ""
}

variable "git_email" {
  type        = string
  description = "the address in commits"
  default     = ""
}

variable "repositories" {
  type        = map(object({ url = string, version = optional(string) }))
  description = "what is checked out in ~/src, by its folder's name"
  default     = {}
}

variable "packages" {
  type        = list(string)
  description = "tools that everybody needs"
  default     = ["bash-completion", "build-essential", "curl", "jq", "less", "man-db", "rsync", "unzip", "vim"]
}

variable "toolchains" {
  type        = list(string)
  description = "compilers and interpreters, as packages"
  default     = ["golang-go", "python3-venv"]
}

variable "known_hosts" {
  type        = list(string)
  description = "lines for ~/.ssh/known_hosts"
  default     = []
}

variable "port" {
  type        = number
  description = "where the application answers, on the machine itself"
  default     = 8080
}

play "development machine" {
  hosts  = ["dev"]
  become = true

  role "dev_vm" {
    git_name     = var.git_name
    git_email    = var.git_email
    repositories = var.repositories
    packages     = var.packages
    toolchains   = var.toolchains
    known_hosts  = var.known_hosts
    port         = var.port
  }
}

# "muster bootstrap" runs this in a login of its own, after the rest: only there is the
# user in the group docker.
play "health" {
  hosts = ["dev"]
  tags  = ["health"]

  task "command" "docker answers without sudo" {
    argv      = ["docker", "ps", "--format", "{{.Names}} {{.Status}}"]
    read_only = true
  }

  task "http_check" "the application answers" {
    url      = "http://127.0.0.1:${var.port}/health"
    contains = "\"database\": \"answers\", \"cache\": \"answers\""
    retry {
      attempts = 15
      delay    = "1s"
    }
  }
}
