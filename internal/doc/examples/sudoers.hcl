task "sudoers" "operators" {
  rules = ["%operators ALL=(ALL) NOPASSWD: ALL"]
}
