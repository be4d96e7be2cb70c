task "service" "haproxy" {
  enabled    = true
  restart_on = ["/etc/default/haproxy"]
  reload_on  = ["/etc/haproxy/haproxy.cfg"]
}
