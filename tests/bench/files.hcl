# One thousand files of 4 KB, for what an unchanged one costs its host.
play "files" {
  hosts  = ["app1"]
  become = true

  task "directory" "/srv/bench-files" {}

  task "file" "page" {
    for_each = toset([for n in range(1000) : format("%04d", n)])
    path     = "/srv/bench-files/${each.key}"
    content  = join("", [for n in range(64) : format("%s of page %s, %040d\n", host.name, each.key, n)])
  }
}
