task "htpasswd_user" "deploy" {
  path     = "/etc/docker/registry/htpasswd"
  password = var.deploy_password
  group    = "docker-registry"
}
