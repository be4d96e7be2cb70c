task "hostname" "name" {
  name = host.name
}
