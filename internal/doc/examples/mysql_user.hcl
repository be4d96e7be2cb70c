task "mysql_user" "shop" {
  host     = "10.0.%"
  password = var.shop_password
  privileges = {
    "shop.*"          = ["SELECT", "INSERT", "UPDATE", "DELETE"]
    "stock.items"     = ["SELECT", "UPDATE (amount)"]
    "like report_%.*" = ["SELECT"]
  }
  require_tls = true
}
