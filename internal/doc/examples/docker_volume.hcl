task "docker_volume" "uploads" {
  options = { type = "none", o = "bind", device = "/srv/uploads" }
}
