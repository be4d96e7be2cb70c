task "logrotate" "app" {
  paths       = ["/var/log/app/*.log"]
  frequency   = "daily"
  keep        = 14
  compress    = true
  missing_ok  = true
  create      = "0640 app adm"
  post_rotate = "systemctl kill -s HUP app"
}
