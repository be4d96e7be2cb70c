task "docker_network" "app" {
  subnet = "10.20.0.0/24"
  labels = { team = "web" }
}
