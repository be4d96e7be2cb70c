task "redis_user" "shop" {
  password = var.shop_password
  commands = ["+@read", "+@write", "-@dangerous"]
  keys     = ["shop:*"]
}
