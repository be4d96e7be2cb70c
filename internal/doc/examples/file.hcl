task "file" "/etc/motd" {
  content = "Configured by muster.\n"
  mode    = "0644"
}
