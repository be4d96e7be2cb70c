# The reference site, from bare hosts: a base on every host, Memcached and Redis, a database
# with two replicas, a registry and Docker for production and staging, HAProxy in front of a
# small web server and of the containers, the logs of all hosts in one place, and a bastion
# that is the end of a VPN and the way out. A release of the shop is brought to it by
# deploy.hcl.
#
#   tests/site-vars.sh >lab.vars.hcl # passwords and certificates
#   muster plan  playbooks/site.hcl -i inventory/lab.hcl --var-file lab.vars.hcl
#   muster apply playbooks/site.hcl -i inventory/lab.hcl --var-file lab.vars.hcl

variable "operators" {
  type        = map(string)
  description = "who may log in: name = public key"
  default = {
    ada = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHbZCPEYbyYt0fGCMPwW3lGaWVpmEDZhvqSCpE2bDOFA ada@example.org"
    ben = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIPH4jFqSbpbFkpcPXv1hnIAM1E0pSmqkMcNFL0vnwhWl ben@example.org"
  }
}

variable "caches" {
  type        = list(string)
  description = "which caches run on the group cache: \"memcached\", \"redis\" or both. One that isn't named is left as it is"
  default     = ["memcached", "redis"]
  validation {
    condition = alltrue([for cache in var.caches : contains(["memcached", "redis"], cache)])
    message   = "A cache is memcached or redis."
  }
}

variable "vpn_peers" {
  type        = map(object({ public_key = string, address = string }))
  description = "who comes in by the VPN: by name, the public key and the address in it"
  default = {
    ada = { public_key = "fpDbIdixTFuZjgz+NaKjMltXZgGlPod2Flk3zBVXYhM=", address = "10.9.0.2" }
  }
}

variable "replication_password" {
  type        = string
  description = "with which the databases' replicas log in to the primary: 32 characters at most"
  sensitive   = true
}

variable "db_ca" {
  type        = string
  description = "the certificate, in PEM form, that has signed the databases'"
}

variable "db_certificate" {
  type        = string
  description = "the databases' certificate, in PEM form, with the names and addresses of all"
}

variable "db_key" {
  type        = string
  description = "its key, in PEM form"
  sensitive   = true
}

variable "registry_password" {
  type        = string
  description = "with which the Docker hosts pull"
  sensitive   = true
}

variable "registry_certificate" {
  type        = string
  description = "the registry's certificate, in PEM form"
}

variable "registry_key" {
  type        = string
  description = "its key, in PEM form"
  sensitive   = true
}

locals {
  logs = hosts[groups.log[0]]
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
  rolling {
    batches = [1] # one that is restarted is empty
  }

  role "memcached" {
    when   = contains(var.caches, "memcached")
    listen = [host.address]
    memory = "${host.vars.memcached_memory}m"
  }
}

include "redis.hcl" {}

include "mysql.hcl" {
  vars = {
    replication_password = var.replication_password
    ca                   = var.db_ca
    certificate          = var.db_certificate
    key                  = var.db_key
  }
}

include "registry.hcl" {
  vars = {
    password    = var.registry_password
    certificate = var.registry_certificate
    key         = var.registry_key
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

# The receiver makes its own certificate, and those who send to it trust that one alone.
play "log receiver" {
  hosts  = ["log"]
  become = true

  task "package" "rsyslog" {
    name = ["rsyslog", "rsyslog-openssl", "openssl"]
  }
  task "directory" "/etc/log-receiver" { mode = "0700" }
  task "command" "make the certificate" {
    shell   = <<-SH
      set -e
      cd /etc/log-receiver
      umask 077
      openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -keyout own.key -out own.pem.new -subj /CN=${host.name} -addext subjectAltName=DNS:${host.name}
      mv own.pem.new own.pem
    SH
    creates = "/etc/log-receiver/own.pem"
  }
  task "command" "certificate" {
    argv      = ["cat", "/etc/log-receiver/own.pem"]
    read_only = true
  }

  task "directory" "/var/log/hosts" {
    group = "adm"
    mode  = "0750"
  }
  task "template" "/etc/rsyslog.d/50-receiver.conf" {
    source   = "templates/log-receiver.conf.tmpl"
    validate = ["rsyslogd", "-N1", "-f", "%s"]
  }
  task "service" "rsyslog" {
    enabled    = true
    restart_on = ["/etc/rsyslog.d/50-receiver.conf", "/etc/log-receiver/own.pem"]
  }
  task "wait" "listens" {
    address = host.address
    port    = 6514
    timeout = "30s"
  }
}

# A run that leaves the receiver out (--limit) leaves this out, too.
play "logs" {
  hosts  = ["all", "nat", "!log"]
  become = true

  role "log_shipping" {
    when     = hosts[groups.log[0]].task.command.certificate.output != null
    receiver = local.logs.address
    name     = local.logs.name
    ca       = try(hosts[groups.log[0]].task.command.certificate.output.stdout, "")
  }
}

# Last, for its rules change on probation: they stand only if new logins get in through it.
play "bastion" {
  hosts  = ["nat"]
  become = true

  role "vpn" {
    address   = ["10.9.0.1/24"]
    forward   = true
    userspace = true # for a kernel without WireGuard, as the lab's
    peers     = { for name, peer in var.vpn_peers : name => { public_key = peer.public_key, allowed_ips = ["${peer.address}/32"] } }
  }

  role "nat" {
    inside  = ["10.0.1.0/24"]
    outside = "eth0"
  }
}
