# One hundred tasks of many kinds, for the benchmark of a run in which nothing
# changes.
locals {
  numbers = toset([for n in range(20) : format("%02d", n)])
}

play "hundred tasks" {
  hosts  = ["all"]
  become = true

  task "directory" "/etc/bench" {}

  task "file" "small" {
    for_each = local.numbers
    path     = "/etc/bench/small-${each.key}"
    content  = "file ${each.key} of ${host.name}\n"
    mode     = "0640"
  }

  task "template" "rendered" {
    for_each = local.numbers
    path     = "/etc/bench/rendered-${each.key}"
    source   = "rendered.tmpl"
    vars     = { number = each.key }
  }

  task "line" "line" {
    for_each = local.numbers
    path     = "/etc/bench/lines"
    line     = "setting-${each.key} = on"
    create   = true
  }

  task "user" "user" {
    for_each = toset(["root", "ops", "daemon", "bin", "sys", "games", "man", "mail", "news", "www-data"])
    name     = each.key
  }

  task "package" "package" {
    for_each = toset(["bash", "coreutils", "curl", "less", "sudo", "procps", "cron", "openssh-server", "iproute2", "nftables"])
    name     = each.key
  }

  task "service" "service" {
    for_each = toset(["ssh", "cron", "dbus", "systemd-journald", "systemd-logind"])
    name     = each.key
  }

  task "group" "group" {
    for_each = toset(["root", "daemon", "bin", "sys", "adm", "tty", "disk"])
    name     = each.key
  }

  task "link" "link" {
    for_each = toset(["one", "two", "three", "four", "five", "six", "seven"])
    path     = "/etc/bench/link-${each.key}"
    target   = "small-00"
  }
}
