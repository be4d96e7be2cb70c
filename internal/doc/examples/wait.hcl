task "wait" "database" {
  port    = 5432
  timeout = "30s"
}
