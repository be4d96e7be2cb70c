task "docker_engine" "docker" {
  settings = {
    log-driver       = "json-file"
    log-opts         = { max-size = "20m", max-file = 5 }
    registry-mirrors = ["https://mirror.example.com"]
    labels           = ["role=app"]
  }
}
