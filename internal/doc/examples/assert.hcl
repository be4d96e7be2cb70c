task "assert" "memory" {
  condition = host.facts.memory.total >= 2 * 1024 * 1024 * 1024
  message   = "Less than 2 GiB of memory: choose a larger instance."
}
