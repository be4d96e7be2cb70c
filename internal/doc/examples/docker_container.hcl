task "docker_container" "app" {
  image   = "registry.example.com/app:1.4"
  env     = { WORKERS = "4" }
  secrets = { db_password = var.db_password }
  ports   = ["127.0.0.1:8080:80"]
  volumes = ["app-data:/var/lib/app", "/etc/app:/etc/app:ro"]
  memory  = "512m"
  health = {
    test     = ["wget", "-q", "-O-", "http://localhost/health"]
    interval = "5s"
  }
}
