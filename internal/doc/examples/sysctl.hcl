task "sysctl" "net.core.somaxconn" {
  value = "1024"
}
