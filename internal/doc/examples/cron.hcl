task "cron" "clean up the cache" {
  user     = "app"
  schedule = "30 3 * * mon-fri"
  command  = "find /var/cache/app -delete && date +%F > /var/cache/cleaned"
}
