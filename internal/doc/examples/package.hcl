task "package" "tools" {
  name = ["curl", "rsync"]
}

task "package" "haproxy" {
  state = "latest"
}
