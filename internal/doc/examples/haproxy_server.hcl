task "haproxy_server" "app1" {
  backend       = "app"
  state         = "drain"
  drain_timeout = "1m"
}
