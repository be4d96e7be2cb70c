description = "A machine to develop on: packages, Docker, git, editor and shell, a key, the repositories, and the application's services in containers."

variable "user" {
  type        = string
  description = "who works there, and is in the group docker; by default who has logged in"
  default     = null
}

variable "packages" {
  type        = list(string)
  description = "what everybody needs; a package that can't be had stops nothing else, and is told of"
  default     = ["bash-completion", "build-essential", "curl", "jq", "less", "man-db", "rsync", "unzip", "vim"]
}

variable "toolchains" {
  type        = list(string)
  description = "compilers and interpreters, as packages, likewise"
  default     = ["golang-go", "python3-venv"]
}

variable "git_name" {
  type        = string
  description = "the name in commits; by default git asks for it at the first one"
  default     = ""
}

variable "git_email" {
  type        = string
  description = "the address in commits"
  default     = ""
}

variable "editor" {
  type        = string
  description = "the editor's settings, ~/.vimrc; null for none of the team's"
  default     = "set expandtab shiftwidth=4 softtabstop=4\nset number\nsyntax on\n"
}

variable "shell" {
  type        = string
  description = "settings of the shell, ~/.bash_aliases, which Debian's ~/.bashrc reads; null for none of the team's"
  default     = "alias ll='ls -lA'\nexport EDITOR=vim\n"
}

variable "known_hosts" {
  type        = list(string)
  description = "lines for ~/.ssh/known_hosts, such as those of the servers that the repositories come from"
  default     = []
}

variable "repositories" {
  type        = map(object({ url = string, version = optional(string) }))
  description = "what is checked out in ~/src, by its folder's name; one called shop takes the place of the reference application"
  default     = {}
}

variable "database_password" {
  type        = string
  description = "what the application logs in to its database with; nobody else can reach that"
  default     = "development"
  sensitive   = true
}

variable "port" {
  type        = number
  description = "where the application answers, on the machine itself"
  default     = 8080
}

variable "images" {
  type        = string
  description = "the edition of the images of MariaDB and Memcached: another one has them made anew, as newer packages have"
  default     = "1"
}

locals {
  user = coalesce(var.user, host.facts.login)
  home = host.facts.homes[local.user]
  src  = "${local.home}/src"
  shop = "${local.src}/shop"
  make = "${var.images}-${substr(sha256(join("", [file("files/image.sh"), file("files/database.sh")])), 0, 8)}"
  # What is lacked of that can't be made good for by going on.
  needed = ["busybox-static", "ca-certificates", "git", "openssh-client"]
}

task "file" "gitconfig" {
  path = "${local.home}/.gitconfig"
  content = join("", concat(
    ["[init]\n\tdefaultBranch = main\n[pull]\n\tff = only\n"],
    "${var.git_name}${var.git_email}" == "" ? [] : ["[user]\n"],
    var.git_name == "" ? [] : ["\tname = ${var.git_name}\n"],
    var.git_email == "" ? [] : ["\temail = ${var.git_email}\n"],
  ))
  keep_changed = true
  become       = local.user
}

task "file" "vimrc" {
  when         = var.editor != null
  path         = "${local.home}/.vimrc"
  content      = coalesce(var.editor, "-")
  keep_changed = true
  become       = local.user
}

task "file" "bash_aliases" {
  when         = var.shell != null
  path         = "${local.home}/.bash_aliases"
  content      = coalesce(var.shell, "-")
  keep_changed = true
  become       = local.user
}

task "directory" "ssh" {
  path   = "${local.home}/.ssh"
  mode   = "0700"
  become = local.user
}

task "package" "needed" {
  name         = local.needed
  state        = "latest"
  update_cache = "20h"
}

task "package" "wanted" {
  for_each = distinct(concat(var.packages, var.toolchains))
  name     = each.key
  state    = "latest"
  on_error = "continue"
}

role "docker" {
  users  = [local.user]
  latest = true
}

task "command" "key" {
  argv    = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "${local.user}@${host.name}", "-f", "${local.home}/.ssh/id_ed25519"]
  creates = "${local.home}/.ssh/id_ed25519"
  become  = local.user
}

task "line" "known_hosts" {
  for_each = toset(var.known_hosts)
  path     = "${local.home}/.ssh/known_hosts"
  line     = each.key
  create   = true
  mode     = "0600"
  become   = local.user
}

task "directory" "src" {
  path   = local.src
  become = local.user
}

# One that can't be had yet, say because its server doesn't know the new key, comes with
# the next run.
task "git" "repository" {
  for_each   = var.repositories
  path       = "${local.src}/${each.key}"
  repository = each.value.url
  ref        = each.value.version
  on_error   = "continue"
  become     = local.user
}

task "directory" "shop" {
  when   = !contains(keys(var.repositories), "shop")
  path   = local.shop
  source = "files/shop"
  become = local.user
}

task "directory" "/usr/local/lib/dev_vm" {}

task "file" "/usr/local/lib/dev_vm/image.sh" {
  source = "files/image.sh"
  mode   = "0755"
}

task "file" "/usr/local/lib/dev_vm/database.sh" {
  source = "files/database.sh"
  mode   = "0644"
}

# What the application's image is made of, whoever has changed it.
task "command" "release" {
  shell     = "cd ${local.shop} && cat release shop.py | sha256sum | cut -c1-12"
  read_only = true
}

# Images of another make, or of other versions of packages, have another tag.
task "command" "edition" {
  shell     = "printf %s ${local.make}-; apt-cache policy mariadb-server-core memcached python3 python3-pymysql | grep Candidate | sha256sum | cut -c1-8"
  read_only = true
}

task "command" "images" {
  shell     = "docker image ls --format '{{.Repository}}:{{.Tag}}' 'dev/*'"
  read_only = true
}

task "command" "database" {
  when  = !strcontains(task.command.images.output.stdout, "dev/mariadb:${task.command.edition.output.stdout}")
  shell = "/usr/local/lib/dev_vm/image.sh </usr/local/lib/dev_vm/database.sh"
  env   = { IMAGE = "dev/mariadb:${task.command.edition.output.stdout}", PACKAGES = "mariadb-server-core busybox-static", START = "[\"/start\"]" }
}

task "command" "cache" {
  when  = !strcontains(task.command.images.output.stdout, "dev/memcached:${task.command.edition.output.stdout}")
  shell = "/usr/local/lib/dev_vm/image.sh </dev/null"
  env   = { IMAGE = "dev/memcached:${task.command.edition.output.stdout}", PACKAGES = "memcached busybox-static", START = "[\"memcached\", \"-u\", \"nobody\"]" }
}

task "command" "python" {
  when  = !strcontains(task.command.images.output.stdout, "dev/python:${task.command.edition.output.stdout}")
  shell = "/usr/local/lib/dev_vm/image.sh </dev/null"
  env   = { IMAGE = "dev/python:${task.command.edition.output.stdout}", PACKAGES = "python3 python3-pymysql", START = "[\"python3\"]" }
}

task "command" "shop" {
  when  = !strcontains(task.command.images.output.stdout, "dev/shop:${task.command.release.output.stdout}-${task.command.edition.output.stdout}")
  shell = "/usr/local/lib/dev_vm/image.sh </dev/null"
  env = {
    IMAGE = "dev/shop:${task.command.release.output.stdout}-${task.command.edition.output.stdout}"
    FROM  = "dev/python:${task.command.edition.output.stdout}"
    FILES = local.shop
    START = "[\"/usr/bin/python3\", \"/app/shop.py\"]"
  }
}

task "docker_compose" "dev" {
  source  = "files/compose.yml"
  env     = { SHOP = "${task.command.release.output.stdout}-${task.command.edition.output.stdout}", IMAGES = task.command.edition.output.stdout, PORT = tostring(var.port) }
  secrets = { database = var.database_password }
  pull    = "never"
  wait    = "2m"
}

output "user" {
  description = "who works there"
  value       = local.user
}

output "url" {
  description = "where the application answers"
  value       = "http://127.0.0.1:${var.port}/"
}
