description = "HAProxy, installed, with its configuration, and started with the host. The sections are those of the kind haproxy, as objects."

variable "global" {
  type        = any
  description = "what holds for the whole process"
  default     = { user = "haproxy", group = "haproxy", log = ["/dev/log local0"], stats_socket = [{ path = "/run/haproxy/admin.sock", mode = "660", level = "admin" }] }
}

variable "defaults" {
  type        = any
  description = "what holds for all sections"
  default     = { mode = "http", log = ["global"], options = ["httplog", "dontlognull", "idle-close-on-response"], timeout = { connect = "5s", client = "30s", server = "30s" } }
}

variable "frontend" {
  type        = any
  description = "the frontends, by name"
  default     = null
}

variable "backend" {
  type        = any
  description = "the backends, by name"
  default     = null
}

variable "listen" {
  type        = any
  description = "the sections listen, by name"
  default     = null
}

variable "raw" {
  type        = string
  description = "whole sections as HAProxy has them"
  default     = null
}

variable "certificates" {
  type        = map(object({ certificate = string, key = string, names = optional(list(string), []) }))
  description = "certificates with their keys, by name: each becomes /etc/haproxy/certs/NAME.pem"
  default     = null
  sensitive   = true
}

variable "maps" {
  type        = map(map(string))
  description = "maps, by name: each becomes /etc/haproxy/maps/NAME.map"
  default     = null
}

variable "version" {
  type        = string
  description = "the version of the package; \"*\" in it stands for any text. By default one that is there stays"
  default     = null
}

task "package" "haproxy" {
  name = var.version == null ? "haproxy" : "haproxy=${var.version}"
}

task "haproxy" "haproxy" {
  global       = var.global
  defaults     = var.defaults
  frontend     = var.frontend
  backend      = var.backend
  listen       = var.listen
  raw          = var.raw
  certificates = var.certificates
  maps         = var.maps
}

task "service" "haproxy" {
  enabled = true
}

output "version" {
  description = "HAProxy's version, once it runs with this configuration"
  value       = task.haproxy.haproxy.output.version
}
