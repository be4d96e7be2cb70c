task "mysql_database" "shop" {
  charset   = "utf8mb4"
  collation = "utf8mb4_unicode_ci"
}
