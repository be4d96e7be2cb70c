# Secrets in every place of a playbook that takes servers.
variable "certificate" {
  type = string
}

play "packages" {
  hosts  = ["db1", "db2", "lb1", "app1"]
  become = true

  task "package" "of databases" {
    name = ["mariadb-server", "mariadb-backup"]
    when = contains(["db1", "db2"], host.name)
  }
  task "package" "of the balancer" {
    name = "haproxy"
    when = host.name == "lb1"
  }
  task "package" "of the application" {
    name = ["docker.io", "docker-registry", "apache2-utils", "busybox-static"]
    when = host.name == "app1"
  }
}

play "servers" {
  hosts  = ["db1", "db2"]
  become = true

  task "mysql_server" "mysql" {
    server_id = host.vars.server_id
    listen    = [host.address]
  }
}

play "primary" {
  hosts  = ["db1"]
  become = true

  task "mysql_database" "shop" {}
  task "mysql_user" "app" {
    host       = "10.0.1.%"
    password   = secret["mysql"]
    privileges = { "shop.*" = ["ALL"] }
  }
  task "mysql_user" "local" {
    password   = secret["mysql-local"]
    privileges = { "shop.*" = ["SELECT"] }
  }
  task "mysql_query" "query" {
    database  = "shop"
    statement = "CREATE TABLE IF NOT EXISTS t (x INT)"
  }
  task "mysql_user" "repl" {
    host       = "10.0.1.%"
    password   = secret["replication"]
    privileges = { "*.*" = ["REPLICATION SLAVE"] }
  }
}

play "replica" {
  hosts  = ["db2"]
  become = true

  task "mysql_replication" "replica" {
    primary       = "db1"
    user          = "repl"
    password      = secret["replication"]
    allow_destroy = ["db2"]
  }
}

play "balancer" {
  hosts  = ["lb1"]
  become = true

  task "haproxy" "haproxy" {
    global {
      user         = "haproxy"
      group        = "haproxy"
      log          = ["/dev/log local0"]
      stats_socket = [{ path = "/run/haproxy/admin.sock", mode = "660", level = "admin" }]
    }
    defaults {
      mode    = "http"
      log     = ["global"]
      timeout = { connect = "5s", client = "30s", server = "30s" }
    }
    frontend "web" {
      bind { address = ":80" }
      bind {
        address      = ":443"
        certificates = "/etc/haproxy/certs"
      }
      stats {
        uri  = "/stats"
        auth = "ops:${secret["stats"]}"
      }
      default_backend = "app"
    }
    backend "app" {
      servers "app1" { address = "10.0.1.21:8080" }
    }
    certificates = {
      site = { certificate = var.certificate, key = secret["key"] }
    }
  }
}

play "application" {
  hosts  = ["app1"]
  become = true

  task "user" "shop" {
    password_hash = secret["hash"]
  }
  task "file" "/etc/shop.conf" {
    content = "password = ${secret["content"]}\n"
  }
  task "command" "stdin" {
    argv  = ["sh", "-c", "cat > /dev/null; sleep 0.3"]
    stdin = secret["stdin"]
  }
  task "command" "fails" {
    argv     = ["sh", "-c", "cat >&2; exit 3"]
    stdin    = secret["fails"]
    on_error = "continue"
  }
  task "command" "says what it reads" {
    shell    = "cat /etc/shop.conf >&2; base64 /etc/shop.conf >&2; exit 4"
    on_error = "continue"
  }
  task "service" "docker" {}
  task "command" "image" {
    shell   = "tar -C / -c bin/busybox | docker import - box:1 && touch /root/image"
    creates = "/root/image"
  }
  task "docker_container" "box" {
    image   = "box:1"
    pull    = "never"
    command = ["/bin/busybox", "sleep", "100000"]
    secrets = { token = secret["container"] }
  }
  task "command" "accounts" {
    shell = "mkdir -p /etc/docker/registry && htpasswd -iBc /etc/docker/registry/htpasswd ada"
    stdin = secret["registry"]
  }
  task "file" "/etc/docker/registry/config.yml" {
    content = "version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: /var/lib/docker-registry\nhttp:\n  addr: 127.0.0.1:5000\nauth:\n  htpasswd:\n    realm: r\n    path: /etc/docker/registry/htpasswd\n"
  }
  task "service" "docker-registry" {
    restart_on = ["/etc/docker/registry/config.yml"]
  }
  task "docker_login" "127.0.0.1:5000" {
    user     = "ada"
    password = secret["registry"]
  }
  # As an operator sees it who wonders what became of a secret.
  task "command" "containers" {
    shell = "docker inspect box; cat /run/haproxy/* 2>/dev/null; true"
  }
}
