task "http_check" "up" {
  url    = "http://${host.address}:8080/health"
  status = [200, 204]
  retry {
    attempts = 30
    delay    = "1s"
  }
}
