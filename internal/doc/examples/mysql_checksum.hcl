task "mysql_checksum" "db1" {
  databases = ["shop"]
}
