package rotate

import (
	"os"
	"regexp"
	"strings"
)

// redisUserScene rotates the password of a user of Redis while two hosts log in with it.
func redisUserScene() scene {
	return scene{
		name:     "redis_user",
		hosts:    []string{"cache1", "app1", "app2"},
		secret:   "redis/shop",
		generate: []string{"--length", "32"},
		site:     redisSite,
		rotation: redisRotation(),
		prepare: func(p *project) {
			p.ends(0, "secret", "generate", "redis/admin")
		},
		load: onHosts{"app1", "app2"},
		lets: func(p *project, value string) bool {
			return theLab.On(p.t, "app2", "REDISCLI_AUTH="+value+" redis-cli -h cache1 --user shop INCR shop:tries 2>/dev/null | grep -c '^[0-9]' || true") == "1"
		},
		acceptor: "cache1",
		consumer: "app1",
		outage:   regexp.MustCompile(`(?i)could not connect|connection reset|server closed|broken pipe|i/o error|LOADING|timed out`),
		steps:    8,
	}
}

// redisApplyScene is the same, where the rotation applies the site's own playbook: that makes
// the user of Redis, too, which lets both values in until the old one is retired.
func redisApplyScene() scene {
	s := redisUserScene()
	s.name, s.of = "redis_user_apply", "redis_user"
	begin, end := strings.Index(s.rotation, `  consumers "shop" {`), strings.Index(s.rotation, "  verify {")
	s.rotation = s.rotation[:begin] + `  consumers "site" {
    apply = "../../site.hcl"
  }

` + s.rotation[end:]
	return s
}

// redisRotation is the one of the project, which retires the old value at once.
func redisRotation() string {
	data, err := os.ReadFile("../../playbooks/rotation/redis_user.hcl")
	if err != nil {
		panic("tests/rotate: " + err.Error())
	}
	return strings.Replace(string(data), `grace  = "1h"`, `grace  = "0s"`, 1)
}

// redisSite has a user of Redis, and something on two hosts that logs in as it all the time.
const redisSite = `
play "cache" {
  hosts  = ["cache"]
  become = true
  role "redis" {
    listen         = ["127.0.0.1", host.address]
    persistence    = "both"
    login_password = secret["redis/admin"]
    users = {
      default = { password = secret["redis/admin"] }
      shop = {
        password = secret["redis/shop"]
        commands = ["+@read", "+@write", "-@dangerous"]
        keys     = ["shop:*"]
      }
    }
  }
}
play "app" {
  hosts  = ["app"]
  become = true
  task "package" "redis-tools" {}
  task "directory" "/etc/shop" {
    mode = "0700"
  }
  task "file" "/usr/local/bin/shop" {
    mode    = "0755"
    content = <<-E
      #!/bin/sh
      REDISCLI_AUTH=$(cat /etc/shop/redis); export REDISCLI_AUTH
      sum=$(sha256sum </etc/shop/redis)
      while :; do
        said=$(redis-cli -h $1 --user shop INCR shop:served 2>&1)
        case $said in
        [0-9]*) echo "$sum" >>/var/log/load.served ;;
        *) echo "$said" >>/var/log/load.failed ;;
        esac
        sleep 0.1
      done
    E
  }
  task "unit" "shop.service" {
    content = <<-E
      [Service]
      ExecStart=/usr/local/bin/shop ${hosts["cache1"].address}
      [Install]
      WantedBy=multi-user.target
    E
  }
  task "file" "/etc/shop/redis" {
    mode    = "0600"
    content = secret["redis/shop"]
  }
  task "service" "shop" {
    enabled    = true
    restart_on = ["/etc/shop/redis"]
  }
}
`
