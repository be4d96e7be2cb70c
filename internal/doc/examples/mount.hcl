task "mount" "/srv/data" {
  device  = "UUID=0a1b2c3d-0000-4000-8000-000000000000"
  type    = "ext4"
  options = ["noatime", "nofail"]
  pass    = 2
}
