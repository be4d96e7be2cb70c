# The password with which replicas log in to their primary: each connects anew with the new
# value before the old one ends.
#
#   muster rotate mysql_replication --var user=replication
#
# The account is made elsewhere, with the privilege REPLICATION SLAVE.

variable "user" {
  type        = string
  description = "the account's name"
  default     = "replication"
}

variable "account_host" {
  type        = string
  description = "where the account logs in from, as its task has it"
  default     = "%"
}

variable "primary" {
  type        = string
  description = "the host that takes writes"
  default     = "db1"
}

variable "servers" {
  type        = list(string)
  description = "the primary, and its replicas"
  default     = ["db"]
}

variable "tls" {
  type        = object({ ca = string, verify = optional(bool, true) })
  description = "how the connection to the primary is secured, as the site's task has it"
  default     = null
}

rotation "mysql_replication" {
  secret = "mysql/replication"
  every  = "90d"
  grace  = "0s"
  generate {
    length = 32 # the servers keep no longer one of a replica
  }
  accept {
    hosts  = concat([var.primary], var.servers)
    become = true
    task "mysql_user" "replication" {
      name         = var.user
      host         = var.account_host
      state        = "existing"
      replicated   = true
      password     = rotation.new
      old_password = rotation.old
    }
  }
  consumers "replicas" {
    hosts  = concat(var.servers, ["!${var.primary}"])
    become = true
    rolling {
      batches = [1]
    }
    task "mysql_replication" "replication" {
      primary  = var.primary
      address  = hosts[var.primary].address
      user     = var.user
      password = secret["mysql/replication"]
      tls      = var.tls
    }
  }
  retire {
    hosts  = concat([var.primary], var.servers)
    become = true
    task "mysql_user" "replication" {
      name       = var.user
      host       = var.account_host
      state      = "existing"
      replicated = true
      password   = rotation.new
    }
  }
}
