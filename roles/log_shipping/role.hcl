description = "What the host logs goes to a receiver of syslog over TLS, by Debian's rsyslog. While the receiver is away the lines wait, on the disk where they are many, and are sent however long it takes."

variable "receiver" {
  type        = string
  description = "the receiver's name or address"
  validation {
    condition = can(regex("^([A-Za-z0-9._-]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$", var.receiver))
    message   = "The receiver is a name or an address, such as logs.example.com; its port is an input of its own."
  }
}

variable "port" {
  type        = number
  description = "the port that it takes syslog over TLS on"
  default     = 6514
  validation {
    condition = var.port >= 1 && var.port <= 65535 && floor(var.port) == var.port
    message   = "A port is a number from 1 to 65535."
  }
}

variable "name" {
  type        = string
  description = "the name that its certificate has to have; by default the receiver's"
  default     = null
  validation {
    condition = var.name == null || can(regex("^[A-Za-z0-9:._-]+$", var.name))
    message   = "The name in a certificate is one such as logs.example.com."
  }
}

variable "ca" {
  type        = string
  description = "the certificates, as PEM, of whoever signs the receiver's: all that are valid, while one takes another's place"
  validation {
    condition = can(regex("-----BEGIN CERTIFICATE-----", var.ca))
    message   = "The CA is the text of a certificate, which begins with -----BEGIN CERTIFICATE-----."
  }
}

variable "certificate" {
  type        = object({ certificate = string, key = string })
  description = "the host's own certificate and key, as PEM, for a receiver that asks for one"
  default     = null
  sensitive   = true
}

variable "select" {
  type        = string
  description = "which lines go there, as rsyslog selects them"
  default     = "*.*"
  validation {
    condition = can(regex("^([a-z0-9]+|\\*)(,([a-z0-9]+|\\*))*\\.!?=?(\\*|none|debug|info|notice|warn|warning|err|error|crit|alert|emerg|panic)(;([a-z0-9]+|\\*)(,([a-z0-9]+|\\*))*\\.!?=?(\\*|none|debug|info|notice|warn|warning|err|error|crit|alert|emerg|panic))*$", var.select))
    message   = "A selection is facilities and what is to be said at least, such as *.info;mail.none."
  }
}

variable "disk" {
  type        = string
  description = "how much of the disk waiting lines may take; what comes after that is lost"
  default     = "1g"
  validation {
    condition = can(regex("^[0-9]+[kmgt]?$", var.disk))
    message   = "A size is a number with a unit: 500m, 1g."
  }
}

locals {
  dir  = "/etc/rsyslog.tls"
  name = var.name == null ? var.receiver : var.name
  own  = nonsensitive(var.certificate != null)
}

task "package" "rsyslog" {
  name = ["rsyslog", "rsyslog-openssl", "openssl"]
}

# rsyslog tells nobody but its own log that it doesn't trust a certificate, and tries for
# ever. So the handshake is made before anything is changed: with the host's own certificate,
# if it has one, once that is in place.
task "script" "handshake" {
  when      = !local.own
  source    = "handshake.sh"
  args      = [var.receiver, tostring(var.port), local.name]
  stdin     = var.ca
  read_only = true
  timeout   = "90s"
}

task "directory" "/etc/rsyslog.tls" {}

task "file" "/etc/rsyslog.tls/ca.pem" {
  content = "${trimspace(var.ca)}\n"
}

task "file" "/etc/rsyslog.tls/own.pem" {
  when    = local.own
  content = local.own ? "${trimspace(var.certificate.certificate)}\n" : null
}

task "file" "/etc/rsyslog.tls/own.key" {
  when    = local.own
  mode    = "0600"
  content = local.own ? "${trimspace(var.certificate.key)}\n" : null
}

task "template" "/etc/rsyslog.d/60-log-shipping.conf" {
  source   = "shipping.conf.tmpl"
  validate = ["rsyslogd", "-N1", "-f", "%s"]
  vars = {
    receiver = var.receiver
    port     = var.port
    name     = local.name
    select   = var.select
    disk     = var.disk
    dir      = local.dir
    own      = local.own
  }
}

task "service" "rsyslog" {
  enabled    = true
  restart_on = concat(["/etc/rsyslog.d/60-log-shipping.conf", "/etc/rsyslog.tls/ca.pem"], local.own ? ["/etc/rsyslog.tls/own.pem", "/etc/rsyslog.tls/own.key"] : [])
}

task "script" "handshake_own" {
  when      = local.own
  source    = "handshake.sh"
  args      = [var.receiver, tostring(var.port), local.name, local.dir]
  stdin     = var.ca
  read_only = true
  timeout   = "90s"
}

# Where nobody answers the lines wait: that is said, and keeps nothing else from being made.
task "assert" "receiver" {
  on_error  = "continue"
  condition = !startswith(local.own ? task.script.handshake_own.output.stdout : task.script.handshake.output.stdout, "nobody answers")
  message   = "${local.own ? task.script.handshake_own.output.stdout : task.script.handshake.output.stdout}\nUntil somebody does, the host keeps its lines."
}
