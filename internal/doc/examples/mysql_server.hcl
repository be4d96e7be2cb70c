task "mysql_server" "database" {
  server_id = 31
  listen    = ["10.0.1.31"]
  settings = {
    max_connections         = 200
    innodb_buffer_pool_size = "1G"
    sql_mode                = "TRADITIONAL"
  }
}
