# web1's copy is fetched/web1/etc/haproxy/haproxy.cfg.
task "fetch" "/etc/haproxy/haproxy.cfg" { to = "fetched" }

# Everybody may read it, and what is in it isn't shown all the same.
task "fetch" "/var/lib/app/token" {
  to         = "fetched"
  missing_ok = true
  sensitive  = true
}
