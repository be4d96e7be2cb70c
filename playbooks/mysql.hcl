# The databases: one primary, and replicas that are provisioned from it while it takes
# writes. A changed setting comes to the replicas first, one at a time.
#
#   export MUSTER_VAR_replication_password=… MUSTER_VAR_key="$(cat db.key)" …
#   muster apply playbooks/mysql.hcl -i inventory/lab.hcl
#
# The hosts of the group db stand with a server_id of their own in the inventory.

variable "flavor" {
  type        = string
  description = "mariadb or mysql"
  default     = "mariadb"
}

variable "primary" {
  type        = string
  description = "the host that takes writes"
  default     = "db1"
}

variable "settings" {
  type        = any
  description = "variables of the servers, as they have them"
  default     = { max_connections = 200 }
}

variable "replication_password" {
  type        = string
  description = "with which the replicas log in to the primary: 32 characters at most"
  sensitive   = true
}

variable "ca" {
  type        = string
  description = "the certificate, in PEM form, that has signed those of the servers"
}

variable "certificate" {
  type        = string
  description = "the servers' certificate, in PEM form, with the names and addresses of all"
}

variable "key" {
  type        = string
  description = "its key, in PEM form"
  sensitive   = true
}

variable "method" {
  type        = string
  description = "how a replica gets its data: auto, clone, backup or dump"
  default     = "auto"
}

variable "allow_destroy" {
  type        = list(string)
  description = "the replicas, as the inventory names them, whose own data may be replaced by the primary's"
  default     = []
}

locals {
  tls = { certificate = "/etc/mysql/tls/server.pem", key = "/etc/mysql/tls/server.key", ca = "/etc/mysql/tls/ca.pem" }
}

# What takes longest, on all hosts at once.
play "packages" {
  hosts  = ["db"]
  become = true
  tags   = ["mysql"]

  task "package" "server" {
    name = var.flavor == "mysql" ? ["mysql-server"] : ["mariadb-server", "mariadb-backup"]
  }
  task "directory" "/etc/mysql/tls" {}
  task "file" "/etc/mysql/tls/ca.pem" {
    content = var.ca
  }
  task "file" "/etc/mysql/tls/server.pem" {
    content = var.certificate
  }
  task "file" "/etc/mysql/tls/server.key" {
    content = var.key
    owner   = "mysql"
    mode    = "0400"
  }
}

play "replicas" {
  hosts  = ["db", "!${var.primary}"]
  become = true
  tags   = ["mysql"]
  rolling {
    batches = [1]
  }

  role "mysql" {
    flavor    = var.flavor
    server_id = host.vars.server_id
    listen    = [host.address]
    settings  = var.settings
    tls       = local.tls
  }
}

play "primary" {
  hosts  = [var.primary]
  become = true
  tags   = ["mysql"]

  role "mysql" {
    flavor    = var.flavor
    server_id = host.vars.server_id
    listen    = [host.address]
    settings  = var.settings
    tls       = local.tls
  }

  task "mysql_user" "replication" {
    host        = "10.0.1.%"
    password    = var.replication_password
    require_tls = true
    privileges  = { "*.*" = ["REPLICATION SLAVE"] }
  }
}

play "replication" {
  hosts  = ["db", "!${var.primary}"]
  become = true
  tags   = ["mysql"]

  task "mysql_replication" "replication" {
    primary       = var.primary
    address       = hosts[var.primary].address
    user          = "replication"
    password      = var.replication_password
    method        = var.method
    allow_destroy = var.allow_destroy
    tls { ca = "/etc/mysql/tls/ca.pem" }
  }
}
