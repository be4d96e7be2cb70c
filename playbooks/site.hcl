# The reference site: a base on every host, memcached, and HAProxy in front of
# a small web server.

variable "operators" {
  type        = map(string)
  description = "who may log in: name = public key"
  default = {
    ada = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHbZCPEYbyYt0fGCMPwW3lGaWVpmEDZhvqSCpE2bDOFA ada@example.org"
    ben = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPH4jFqSbpbFkpcPXv1hnIAM1E0pSmqkMcNFL0vnwhWl ben@example.org"
  }
}

play "base" {
  hosts  = ["all"]
  become = true

  task "group" "operators" {
    system = true
  }

  task "user" "operator" {
    for_each = var.operators
    name     = each.key
    groups   = ["operators"]
    shell    = "/bin/bash"
  }

  task "authorized_key" "operator" {
    for_each = var.operators
    user     = each.key
    keys     = [each.value]
  }

  task "template" "motd" {
    path   = "/etc/motd"
    source = "templates/motd.tmpl"
    vars   = { purpose = join(", ", host.groups) }
  }

  task "package" "tools" {
    name = ["less", "rsync"]
  }

  task "timezone" "zone" {
    name = "Etc/UTC"
  }

  task "sysctl" "backlog" {
    name  = "net.core.somaxconn"
    value = "1024"
  }

  task "line" "history" {
    path = "/etc/bash.bashrc"
    line = "HISTTIMEFORMAT='%F %T '"
  }
}

play "memcached" {
  hosts  = ["cache"]
  become = true

  task "package" "memcached" {}

  task "template" "config" {
    path   = "/etc/memcached.conf"
    source = "templates/memcached.conf.tmpl"
    vars = {
      listen = host.address
      memory = host.vars.memcached_memory
    }
  }

  task "service" "memcached" {
    enabled    = true
    restart_on = ["/etc/memcached.conf"]
  }

  task "wait" "answers" {
    address = host.address
    port    = 11211
    timeout = "30s"
  }
}

play "application" {
  hosts  = ["app"]
  become = true

  task "package" "busybox" {}

  task "user" "web" {
    system      = true
    home        = "/srv/web"
    create_home = false
  }

  task "directory" "/srv/web" {}

  task "template" "page" {
    path   = "/srv/web/index.html"
    source = "templates/index.html.tmpl"
  }

  task "unit" "web.service" {
    content = <<-UNIT
      [Unit]
      Description=The small web server of the reference site
      After=network.target

      [Service]
      User=web
      ExecStart=/bin/busybox httpd -f -p ${host.vars.app_port} -h /srv/web

      [Install]
      WantedBy=multi-user.target
    UNIT
  }

  task "service" "web" {
    enabled    = true
    restart_on = ["/etc/systemd/system/web.service"]
  }

  task "http_check" "up" {
    url = "http://${host.address}:${host.vars.app_port}/"
    retry {
      attempts = 30
      delay    = "1s"
    }
  }
}

play "load balancer" {
  hosts  = ["lb"]
  become = true

  task "package" "haproxy" {}

  task "haproxy" "haproxy" {
    global {
      user    = "haproxy"
      group   = "haproxy"
      maxconn = 4000
      log     = ["/dev/log local0"]
      stats_socket {
        path  = "/run/haproxy/admin.sock"
        mode  = "660"
        level = "admin"
      }
    }
    defaults {
      mode    = "http"
      log     = ["global"]
      options = ["httplog"]
      timeout {
        connect = "5s"
        client  = "30s"
        server  = "30s"
      }
    }
    # The pages, and the shop under a name of its own.
    frontend "web" {
      bind { address = ":80" }
      options         = ["idle-close-on-response"] # at a reload, too, no kept connection is closed under a request
      acl             = { shop = "hdr(host) -i shop.example.com" }
      use_backend     = [{ backend = "shop", when = "shop" }]
      default_backend = "app"
    }
    backend "app" {
      balance = "roundrobin"
      health {
        path     = "/"
        interval = "1s"
      }
      servers = { for name in groups.app : name => { address = "${hosts[name].address}:${hosts[name].vars.app_port}" } }
    }
    backend "shop" {
      balance = "roundrobin"
      health {
        path     = "/health"
        interval = "1s"
      }
      servers = { for name in groups.production : name => { address = "${hosts[name].address}:${hosts[name].vars.shop.port}" } }
    }
  }

  task "service" "haproxy" {
    enabled = true
  }

  task "http_check" "answers" {
    url = "http://${host.address}/"
    retry {
      attempts = 30
      delay    = "1s"
    }
  }
}
