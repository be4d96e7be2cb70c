task "directory" "/srv/app" {
  owner = "www-data"
  mode  = "0750"
}
