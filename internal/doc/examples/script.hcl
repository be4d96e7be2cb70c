task "script" "warm up" {
  source      = "warm-up.sh"
  args        = ["--all"]
  interpreter = "bash"
}
