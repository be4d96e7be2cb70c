task "command" "create the database" {
  argv    = ["/srv/app/bin/app", "init-db"]
  creates = "/var/lib/app/db.sqlite"
}

task "command" "is the cluster up" {
  shell     = "app status | grep -c ready"
  read_only = true
}
