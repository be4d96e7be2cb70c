task "memcached" "cache" {
  listen      = ["127.0.0.1", "10.0.1.41"]
  memory      = "2g"
  connections = 4096
  extra       = ["-o modern"]
}
