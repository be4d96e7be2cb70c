task "known_hosts" "git.example.com" {
  keys = [var.git_host_key]
  user = "deploy"
}
