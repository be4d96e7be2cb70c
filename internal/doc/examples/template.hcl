task "template" "config" {
  path     = "/etc/haproxy/haproxy.cfg"
  source   = "haproxy.cfg.tmpl"
  vars     = { servers = groups.all }
  validate = ["haproxy", "-c", "-f", "%s"]
}
