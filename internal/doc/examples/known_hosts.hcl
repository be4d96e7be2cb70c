task "known_hosts" "git.example.com" {
  keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIIo3h50bjxYMlHXNCg83SeHhDZxPFcOIBxwlAuwnWJM+"]
  user = "deploy"
}
