task "docker_login" "registry.example.org:5000" {
  user     = "deploy"
  password = var.registry_password
}
