host "localhost" {
  connection = "local"
}
