task "docker_prune" "images" {
  keep              = 3
  images_older_than = "7d"
}
