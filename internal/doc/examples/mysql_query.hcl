task "mysql_query" "zone" {
  statement = "INSERT INTO settings (name, value) VALUES ('zone', 'UTC')"
  unless    = "SELECT 1 FROM settings WHERE name = 'zone'"
  database  = "shop"
}
