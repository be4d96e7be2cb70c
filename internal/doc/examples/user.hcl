task "user" "ada" {
  groups = ["operators"]
  shell  = "/bin/bash"
}
