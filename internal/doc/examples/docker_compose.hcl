task "docker_compose" "shop" {
  source  = "compose.yml"
  env     = { TAG = "1.4" }
  secrets = { token = var.shop_token }
}
