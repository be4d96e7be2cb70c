description = "Redis, installed, with its settings and users, and started with the host. Whom it follows is set once: what a failover changes is told and left."

variable "listen" {
  type        = list(string)
  description = "the addresses that it listens on; by default this host alone"
  default     = ["127.0.0.1", "-::1"]
}

variable "port" {
  type        = number
  description = "the port that it listens on"
  default     = 6379
}

variable "memory" {
  type        = string
  description = "how much memory its keys may take, as in \"1gb\""
  default     = null
}

variable "policy" {
  type        = string
  description = "what it does when that is full, such as \"allkeys-lru\" for a cache"
  default     = null
}

variable "persistence" {
  type        = string
  description = "what it keeps on disk: \"none\", \"snapshots\", a \"log\" or \"both\""
  default     = null
}

variable "replica_of" {
  type        = string
  description = "the primary that it replicates from, as in \"10.0.1.31:6379\"; \"none\" where it is one"
  default     = null
}

variable "replica_user" {
  type        = string
  description = "as whom it logs in to the primary"
  default     = null
}

variable "replica_password" {
  type        = string
  description = "the password of that user"
  default     = null
  sensitive   = true
}

variable "settings" {
  type        = any
  description = "other settings, by their names"
  default     = {}
}

variable "users" {
  type = map(object({
    password     = string
    old_password = optional(string)
    commands     = optional(list(string))
    keys         = optional(list(string))
    channels     = optional(list(string))
  }))
  description = "who may use it, by name; \"default\" is whom it takes those for who don't log in"
  default     = {}
}

variable "login_user" {
  type        = string
  description = "as whom muster asks it"
  default     = null
}

variable "login_password" {
  type        = string
  description = "the password of that user"
  default     = null
  sensitive   = true
}

task "package" "redis" {
  name = "redis-server"
}

task "redis" "redis" {
  listen           = var.listen
  port             = var.port
  memory           = var.memory
  policy           = var.policy
  persistence      = var.persistence
  replica_of       = var.replica_of
  replica_user     = var.replica_user
  replica_password = var.replica_password
  settings         = var.settings
  login_user       = var.login_user
  login_password   = var.login_password
}

task "redis_user" "user" {
  for_each       = var.users
  name           = each.key
  password       = each.value.password
  old_password   = each.value.old_password
  commands       = each.value.commands
  keys           = each.value.keys
  channels       = each.value.channels
  login_user     = var.login_user
  login_password = var.login_password
}

task "service" "redis" {
  name    = "redis-server"
  enabled = true
}

output "redis" {
  description = "its version, port, role, primary, link, lag, replicas and keys, once it runs with these settings"
  value       = task.redis.redis.output
}
