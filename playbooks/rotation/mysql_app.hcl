# The password of an application's account in MariaDB or MySQL: both values let it in until
# every consumer has the new one, on the replicas, too.
#
#   muster rotate mysql_app --var user=shop --var password_file=/etc/shop/password --var service=shop
#
# The account is made elsewhere, with what it may do. The plugin mysql_native_password is the
# one to have on MariaDB: Go's client can't be let in by the second of two others.

variable "user" {
  type        = string
  description = "the account's name"
  default     = "app"
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
  description = "all that have the account: the primary, and its replicas"
  default     = ["db"]
}

variable "consumers" {
  type        = list(string)
  description = "the hosts that log in with it"
  default     = ["app"]
}

variable "password_file" {
  type        = string
  description = "the file in which they find the password, and nothing else"
  default     = "/etc/app/password"
}

variable "service" {
  type        = string
  description = "the unit that reads it when it starts"
  default     = "app"
}

variable "batch" {
  type        = number
  description = "how many consumers go over at once"
  default     = 1
}

variable "check" {
  type        = list(string)
  description = "a command that ends well on a consumer that is served; by default that its unit is active"
  default     = []
}

variable "old_sessions" {
  type        = string
  description = "what becomes of sessions that were opened before the rotation: count or end"
  default     = "count"
}

rotation "mysql_app" {
  secret = "mysql/app"
  every  = "30d"
  grace  = "0s"
  generate {
    length = 32
  }
  accept {
    hosts  = concat([var.primary], var.servers)
    become = true
    task "mysql_user" "app" {
      name         = var.user
      host         = var.account_host
      state        = "existing"
      replicated   = true
      password     = rotation.new
      old_password = rotation.old
    }
  }
  consumers "app" {
    hosts  = var.consumers
    become = true
    rolling {
      batches = [var.batch]
    }
    task "file" "password" {
      path    = var.password_file
      content = secret["mysql/app"]
    }
    task "service" "app" {
      name       = var.service
      restart_on = [var.password_file]
    }
  }
  verify {
    hosts  = var.consumers
    become = true
    task "command" "check" {
      argv      = length(var.check) > 0 ? var.check : ["systemctl", "is-active", "--quiet", var.service]
      read_only = true
      retry {
        attempts = 30
        delay    = "500ms"
      }
    }
  }
  retire {
    hosts  = concat([var.primary], var.servers)
    become = true
    task "mysql_user" "app" {
      name         = var.user
      host         = var.account_host
      state        = "existing"
      replicated   = true
      password     = rotation.new
      old_sessions = var.old_sessions
    }
  }
}
