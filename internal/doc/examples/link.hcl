task "link" "/etc/localtime" {
  target = "/usr/share/zoneinfo/Etc/UTC"
}
