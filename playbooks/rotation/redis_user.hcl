# The password of the shop's user in Redis, changed while the shop goes on: Redis lets two in
# at once. The site has the user with the role "redis", and whoever logs in as it reads
# /etc/shop/redis.
rotation "redis_user" {
  secret = "redis/shop"
  every  = "30d"
  grace  = "1h"

  generate {
    length = 32
  }

  accept {
    hosts  = ["cache"]
    become = true
    task "redis_user" "shop" {
      password       = rotation.new
      old_password   = rotation.old
      login_password = secret["redis/admin"]
    }
  }

  consumers "shop" {
    hosts  = ["app"]
    become = true
    rolling {
      batches = [1]
    }
    task "file" "/etc/shop/redis" {
      mode    = "0600"
      content = secret["redis/shop"]
    }
    task "service" "shop" {
      restart_on = ["/etc/shop/redis"]
    }
  }

  verify {
    hosts  = ["app"]
    become = true
    task "command" "served" {
      shell     = "test \"$(tail -n 1 /var/log/load.served)\" = \"$(sha256sum </etc/shop/redis)\""
      read_only = true
      retry {
        attempts = 20
        delay    = "200ms"
      }
    }
  }

  retire {
    hosts  = ["cache"]
    become = true
    task "redis_user" "shop" {
      password       = rotation.new
      login_password = secret["redis/admin"]
    }
  }
}
