# Redis on the hosts of the group cache, for site.hcl and cache_move.hcl. While it has no
# passwords only its own host gets in.
#
#   export MUSTER_VAR_redis_admin=… MUSTER_VAR_redis_shop=…
#   muster apply playbooks/redis.hcl -i inventory/lab.hcl

variable "caches" {
  type        = list(string)
  description = "which caches run there: one that isn't named is left as it is"
  default     = ["redis"]
  validation {
    condition = alltrue([for cache in var.caches : contains(["memcached", "redis"], cache)])
    message   = "A cache is memcached or redis."
  }
}

variable "redis_admin" {
  type        = string
  description = "with which muster logs in, and whoever gives no name"
  default     = null
  sensitive   = true
}

variable "redis_shop" {
  type        = string
  description = "with which the shop logs in, as \"shop\": keys that begin with shop: are its own"
  default     = null
  sensitive   = true
}

locals {
  users = {
    default = { password = var.redis_admin }
    shop    = { password = var.redis_shop, commands = ["+@read", "+@write", "+@connection", "-@dangerous"], keys = ["shop:*"] }
  }
  passwords = nonsensitive(var.redis_admin != null && var.redis_shop != null)
}

play "redis" {
  hosts  = ["cache"]
  become = true
  rolling {
    batches = [1]
  }

  role "redis" {
    when           = contains(var.caches, "redis")
    listen         = ["127.0.0.1", host.address]
    memory         = "64mb"
    policy         = "allkeys-lru"
    persistence    = "snapshots"
    login_password = var.redis_admin
    users          = { for name, user in local.users : name => user if local.passwords }
  }
}
