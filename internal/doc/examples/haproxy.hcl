task "haproxy" "haproxy" {
  global {
    user  = "haproxy"
    group = "haproxy"
    log   = ["/dev/log local0"]
  }
  defaults {
    mode    = "http"
    timeout = { connect = "5s", client = "30s", server = "30s" }
  }
  frontend "web" {
    bind { address = ":80" }
    bind {
      address      = ":443"
      certificates = "/etc/haproxy/certs"
    }
    http_request    = ["redirect scheme https unless { ssl_fc }"]
    default_backend = "app"
  }
  backend "app" {
    health { path = "/health" }
    servers "app1" { address = "10.0.1.21:8080" }
    servers "app2" { address = "10.0.1.22:8080" }
  }
  certificates = {
    site = { certificate = var.certificate, key = var.key }
  }
}
