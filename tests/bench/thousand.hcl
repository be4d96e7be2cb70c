# One thousand tasks of which every one has something to do, for the benchmark
# of when a plan shows its first line. It is never applied.
play "thousand tasks" {
  hosts  = ["app1"]
  become = true

  task "file" "pending" {
    for_each = toset([for n in range(1000) : format("%04d", n)])
    path     = "/etc/bench-pending-${each.key}"
    content  = "file ${each.key} of ${host.name}\n"
  }
}
