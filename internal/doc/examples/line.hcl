task "line" "no password logins" {
  path     = "/etc/ssh/sshd_config"
  line     = "PasswordAuthentication no"
  match    = "^#?PasswordAuthentication "
  validate = ["/usr/sbin/sshd", "-t", "-f", "%s"]
}
