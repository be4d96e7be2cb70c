task "sshd_config" "50-hardening" {
  settings = {
    PasswordAuthentication = "no"
    PermitRootLogin        = "no"
    AllowUsers             = ["ops", "deploy"]
  }
}
