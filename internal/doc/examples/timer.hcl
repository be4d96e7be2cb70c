task "timer" "backup" {
  on_calendar      = "Mon..Fri 03:30 Europe/Berlin"
  command          = "/usr/local/bin/backup | gzip > /var/backups/all.gz"
  user             = "backup"
  persistent       = true
  randomized_delay = "10m"
}
