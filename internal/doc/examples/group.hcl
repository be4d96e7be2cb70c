task "group" "operators" {
  members = ["ada", "ben"]
}
