task "htpasswd" "/etc/nginx/users" {
  users = { ada = var.password }
  group = "www-data"
}
