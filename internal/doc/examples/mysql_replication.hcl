task "mysql_replication" "replica" {
  primary  = "db1"
  user     = "repl"
  password = var.replication_password
}
