description = "A registry of container images, Debian's docker-registry: with TLS, users, and a nightly collection of what no image needs any more."

variable "listen" {
  type        = string
  description = "the address and the port that it listens on, as in 10.0.1.21:5000. Debian's own default is all addresses"
  validation {
    condition = can(regex("^([0-9.]+|[[][0-9a-fA-F:.]+[]]):[0-9]{1,5}$", var.listen))
    message   = "This is an IP address and a port: \"10.0.1.21:5000\", \"[fd00::21]:5000\"."
  }
}

variable "certificate" {
  type        = string
  description = "its certificate, with those of the authorities between, in PEM form"
  validation {
    condition = startswith(var.certificate, "-----BEGIN CERTIFICATE-----")
    message   = "A certificate in PEM form begins with -----BEGIN CERTIFICATE-----."
  }
}

variable "key" {
  type        = string
  description = "the certificate's key, in PEM form"
  sensitive   = true
}

variable "users" {
  type        = map(string)
  description = "who may pull and push: names, and for each the password, of up to 72 bytes, or its bcrypt hash ($2y$…), which htpasswd -nB makes"
  sensitive   = true
  validation {
    condition = length(var.users) > 0 && alltrue([for name, secret in var.users : can(regex("^[^:\\s]+$", name)) && can(regex("^[^\\r\\n]+$", secret))])
    message   = "There is a user at least; names have neither colons nor spaces, and passwords are one line."
  }
}

variable "keep_users" {
  type        = list(string)
  description = "users whom something else sets (htpasswd_user), such as a rotation of two accounts in turn: they stay as they are"
  default     = []
}

variable "storage" {
  type        = string
  description = "the folder that holds the images"
  default     = "/var/lib/docker-registry"
  validation {
    condition = can(regex("^(/[A-Za-z0-9._-]+)+$", var.storage))
    message   = "This is an absolute path of letters, digits and . _ -"
  }
}

variable "delete" {
  type        = bool
  description = "whether images can be deleted"
  default     = true
}

variable "collect" {
  type        = string
  description = "when the space of what no image needs any more is freed, in systemd's words for calendar events. The registry takes no pushes meanwhile. null: never"
  default     = "*-*-* 03:30"
  nullable    = true
}

variable "collect_untagged" {
  type        = bool
  description = "whether images without a tag go then, too. Those that are only named by their digest are such"
  default     = false
}

locals {
  dir    = "/etc/docker/registry"
  config = "${local.dir}/config.yml"
  port   = regex("[0-9]+$", var.listen)
  asked  = startswith(var.listen, "0.0.0.0:") ? "127.0.0.1:${local.port}" : startswith(var.listen, "[::]:") ? "[::1]:${local.port}" : var.listen
}

# What the registry or systemd would refuse later is found while planning.
task "command" "pair" {
  read_only   = true
  failed_when = false # what it says isn't shown: it is given the key
  stdin       = "${var.key}\n${var.certificate}\n"
  shell       = <<-SH
    command -v openssl >/dev/null || exit 0
    all=$(cat)
    [ "$(printf '%s\n' "$all" | openssl pkey -pubout)" = "$(printf '%s\n' "$all" | openssl x509 -noout -pubkey)" ]
  SH
}

task "assert" "pair" {
  condition = task.command.pair.output.exit_code == 0
  message   = "The key is not that of the certificate."
}

task "command" "calendar" {
  when      = var.collect != null
  read_only = true
  argv      = ["systemd-analyze", "calendar", "--", var.collect]
}

task "package" "registry" {
  name = "docker-registry"
}

task "directory" "storage" {
  path  = var.storage
  owner = "docker-registry"
  group = "docker-registry"
  mode  = "0750"
}

task "file" "certificate" {
  path    = "${local.dir}/tls.crt"
  content = var.certificate
}

task "file" "key" {
  path    = "${local.dir}/tls.key"
  content = var.key
  group   = "docker-registry"
  mode    = "0640"
}

task "template" "config" {
  path   = local.config
  source = "config.yml.tmpl"
  vars = {
    listen  = var.listen
    storage = var.storage
    delete  = var.delete
    dir     = local.dir
  }
}

task "unit" "service" {
  name   = "docker-registry.service.d/muster.conf"
  source = "service.conf"
}

task "htpasswd" "users" {
  path  = "${local.dir}/htpasswd"
  users = var.users
  keep  = var.keep_users
  group = "docker-registry"
  mode  = "0640"
}

task "service" "registry" {
  name       = "docker-registry"
  enabled    = true
  restart_on = [local.config, "${local.dir}/tls.crt", "${local.dir}/tls.key"]
}

task "unit" "collection" {
  name    = "docker-registry-gc.service"
  content = var.collect == null ? null : templatefile("gc.service.tmpl", { config = local.config, storage = var.storage, untagged = var.collect_untagged })
  state   = var.collect == null ? "absent" : "present"
}

task "unit" "timer" {
  name    = "docker-registry-gc.timer"
  content = var.collect == null ? null : <<-UNIT
    [Unit]
    Description=Frees the space of what no image in the registry needs any more

    [Timer]
    OnCalendar=${var.collect}
    Persistent=true

    [Install]
    WantedBy=timers.target
  UNIT
  state   = var.collect == null ? "absent" : "present"
}

task "service" "timer" {
  when    = var.collect != null
  name    = "docker-registry-gc.timer"
  enabled = true
}

task "http_check" "refuses" {
  url      = "https://${local.asked}/v2/"
  status   = 401
  insecure = true # by this address: what its name is here, the host may not know
  retry {
    attempts = 10
    delay    = "1s"
  }
}

output "url" {
  description = "where it answers"
  value       = "https://${local.asked}/v2/"
}
