task "reboot" "kernel" {
  when_required = true
  message       = "A new kernel: this host is back in a minute."
  timeout       = "5m"
}
