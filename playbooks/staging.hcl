# The shop in one environment: staging, where no other is named. Staging and
# production are made by these plays alone. What tells one from the other stands in
# the inventory: the group's hosts and vars.
#
#   muster apply playbooks/staging.hcl -i inventory/lab.hcl --var release=2
#
# deploy.hcl and promote.hcl use it for both. Hosts have Docker, and may pull from
# the registry: registry.hcl does that, and site.hcl with it.

variable "environment" {
  type        = string
  description = "the group whose hosts are acted on"
  default     = "staging"
}

variable "release" {
  type        = string
  description = "the tag of the image to run"
  default     = null
}

variable "from" {
  type        = string
  description = "the environment whose image is run, by its digest, in place of a release"
  default     = null
}

variable "cache" {
  type        = string
  description = "where the shop's cache is: memcached or redis"
  default     = "memcached"
  validation {
    condition = contains(["memcached", "redis"], var.cache)
    message   = "The cache is memcached or redis."
  }
}

variable "redis_shop" {
  type        = string
  description = "with which the shop logs in to Redis: it reads it from /run/secrets/cache"
  default     = null
  sensitive   = true
}

locals {
  store    = hosts[groups.cache[0]].address
  registry = "${local.store}:5000"
  caches   = { memcached = "memcached://${local.store}:11211", redis = "redis://shop@${local.store}:6379" }
  source   = var.from == null ? var.environment : var.from
  # Where nothing is in front of the hosts, nothing is drained.
  balanced  = can(host.vars.balancers)
  balancers = try(host.vars.balancers, [host.name])
}

play "source" {
  hosts  = [local.source]
  become = true

  task "assert" "release" {
    once      = true
    condition = (var.release == null) != (var.from == null)
    message   = "Name the release with --var release=TAG, or the environment to take it from with --var from=staging."
  }

  task "assert" "password" {
    once      = true
    condition = var.cache != "redis" || nonsensitive(var.redis_shop != null)
    message   = "Redis lets the shop in by its password: give it as MUSTER_VAR_redis_shop."
  }

  task "command" "runs" {
    when      = var.from != null
    argv      = ["sh", "-c", "docker image inspect -f '{{index .RepoDigests 0}}' $(docker inspect -f '{{.Image}}' shop)"]
    read_only = true
  }
}

# A run that was cut off may have left a host drained. It is put back before another
# one is taken out, whether or not anything is left to do on it; one that somebody
# else has drained stays so. Where the host isn't up, the new release may mend that.
play "left" {
  hosts  = [var.environment]
  become = true

  task "haproxy_server" "left" {
    when     = local.balanced
    on       = local.balancers
    server   = host.name
    backend  = "shop"
    state    = "ready"
    on_error = "continue"
  }
}

play "application" {
  hosts  = [var.environment]
  become = true

  rolling {
    batches      = [1]
    max_failures = 0

    before {
      task "haproxy_server" "drain" {
        when          = local.balanced
        on            = local.balancers
        server        = host.name
        backend       = "shop"
        state         = "drain"
        drain_timeout = "30s"
      }
    }
    after {
      task "haproxy_server" "ready" {
        when    = local.balanced
        on      = local.balancers
        server  = host.name
        backend = "shop"
        state   = "ready"
      }
    }
  }

  role "application" "shop" {
    name    = "shop"
    image   = var.from == null ? "${local.registry}/shop:${coalesce(var.release, "none")}" : hosts[groups[local.source][0]].task.command.runs.output.stdout
    port    = host.vars.shop.port
    memory  = host.vars.shop.memory
    env     = { MOTTO = host.vars.shop.motto, CACHE = local.caches[var.cache] }
    secrets = var.cache == "redis" ? { cache = var.redis_shop } : null
    answers = var.release == null ? {} : { "/release" = "release ${var.release}\n" }
  }
}
