description = "MariaDB or MySQL, installed, with its settings, and running with them. What it holds, who may use it and from whom it replicates are tasks of their own: mysql_database, mysql_user, mysql_replication."

variable "flavor" {
  type        = string
  description = "whose server: \"mariadb\" or \"mysql\"; by default the one that is installed, else MariaDB"
  default     = null
}

variable "version" {
  type        = string
  description = "the version of its package, whole, as apt has it. By default the installed one stays"
  default     = null
}

variable "server_id" {
  type        = number
  description = "the server's number among those that replicate from each other: each has its own, so it is a host's, such as host.vars.server_id"
  validation {
    condition     = var.server_id >= 1
    message       = "A server's number is 1 or more."
  }
}

variable "listen" {
  type        = list(string)
  description = "the addresses that it listens on; by default the packages' own, which is this host alone"
  default     = null
}

variable "port" {
  type        = number
  description = "the port that it listens on; by default 3306"
  default     = null
}

variable "settings" {
  type        = any
  description = "settings of the section [mysqld], by the names of the server's variables"
  default     = {}
}

variable "tls" {
  type = object({
    certificate = string # paths on the host, of files that an earlier task has put there
    key         = string
    ca          = string
    require     = optional(bool, false)
  })
  description = "the certificate that it shows to clients"
  default     = null
}

task "mysql_server" "mysql" {
  flavor    = var.flavor
  version   = var.version
  server_id = var.server_id
  listen    = var.listen
  port      = var.port
  settings  = var.settings
  tls       = var.tls
}

output "server" {
  description = "the server's flavor, version, port, server_id, uuid and data_dir, once it runs with these settings"
  value       = task.mysql_server.mysql.output
}
