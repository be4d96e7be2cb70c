description = "Memcached, installed, with its options, and started with the host. It listens on this host alone unless it is told otherwise, and never on UDP."

variable "listen" {
  type        = list(string)
  description = "the addresses that it listens on"
  default     = ["127.0.0.1"]
}

variable "port" {
  type        = number
  description = "the port that it listens on"
  default     = 11211
}

variable "memory" {
  type        = string
  description = "how much memory its items may take, as in \"64m\" or \"2g\""
  default     = "64m"
}

variable "connections" {
  type        = number
  description = "how many connections it takes at once"
  default     = 1024
}

variable "threads" {
  type        = number
  description = "how many threads it answers with"
  default     = 4
}

variable "max_item_size" {
  type        = string
  description = "the largest item, as in \"1m\""
  default     = "1m"
}

variable "tls" {
  type        = object({ certificate = string, key = string })
  description = "the certificate with which it takes TLS, and nothing else: paths on the host"
  default     = null
}

variable "auth" {
  type        = map(string)
  description = "who is let in, with their passwords; by default everybody who reaches it"
  default     = null
  sensitive   = true
}

variable "extra" {
  type        = list(string)
  description = "other options, as in [\"-o modern\"]"
  default     = []
}

task "package" "memcached" {}

task "memcached" "memcached" {
  listen        = var.listen
  port          = var.port
  memory        = var.memory
  connections   = var.connections
  threads       = var.threads
  max_item_size = var.max_item_size
  tls           = var.tls
  auth          = var.auth
  extra         = var.extra
}

task "service" "memcached" {
  enabled = true
}

output "memcached" {
  description = "its version, and how many items it holds, once it runs with these options"
  value       = task.memcached.memcached.output
}
