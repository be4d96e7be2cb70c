# The shop's cache moves from Memcached to Redis, and nobody notices: Redis comes up beside
# Memcached, the shop is made anew with the other cache in its settings, on staging first
# and then on production, a server after the other, each taken out of HAProxy meanwhile, and
# Memcached is stopped once nothing is connected to it any more. A shop that isn't
# healthy with Redis has its last container back, and Memcached is still there.
#
#   export MUSTER_VAR_redis_admin=… MUSTER_VAR_redis_shop=…
#   muster plan  playbooks/cache_move.hcl -i inventory/lab.hcl
#   muster apply playbooks/cache_move.hcl -i inventory/lab.hcl
#
# Then write it into the inventory, for site.hcl and deploy.hcl: caches = ["redis"] among the
# vars of the group cache, cache = "redis" among those of production and staging.

variable "redis_admin" {
  type        = string
  description = "with which muster logs in to Redis"
  sensitive   = true
}

variable "redis_shop" {
  type        = string
  description = "with which the shop does"
  sensitive   = true
}

variable "wait" {
  type        = number
  description = "how many seconds others have to leave Memcached, once the shop has"
  default     = 120
}

include "redis.hcl" { vars = { caches = ["redis"] } }

# What runs there runs on, with another setting.
include "staging.hcl" { vars = { environment = "staging", from = "staging", cache = "redis" } }
include "staging.hcl" { vars = { environment = "production", from = "production", cache = "redis" } }

play "memcached" {
  hosts  = ["cache"]
  become = true

  task "command" "runs" {
    shell     = "systemctl is-active memcached || true"
    read_only = true
  }

  task "command" "nobody is connected" {
    when         = task.command.runs.output.stdout == "active"
    shell        = <<-SH
      there=$(ss -Htn state established sport = :11211) || exit 1
      [ -z "$there" ] && exit
      echo "Memcached is still used by $(echo "$there" | awk '{ print $4 }' | sort | tr '\n' ' '): it goes on" >&2
      exit 1
    SH
    changed_when = false
    retry {
      attempts = var.wait
      delay    = "1s"
    }
  }

  task "service" "memcached" {
    state   = "stopped"
    enabled = false
  }
}
