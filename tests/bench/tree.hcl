# A tree of ten thousand small files, which tests/bench.sh makes in tests/bench/tree.
play "tree" {
  hosts  = ["app1"]
  become = true

  task "directory" "/srv/bench-tree" {
    source = "tree"
  }
}
