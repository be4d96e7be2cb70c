# A run that is cut off while it has everything in hand.
variable "dir" {
  type = string
}

play "waits" {
  hosts = ["localhost"]
  task "file" "before" {
    path    = "${var.dir}/out/before"
    content = secret["before"]
  }
  task "command" "waits" {
    argv  = ["sh", "-c", "cat > /dev/null; echo $PPID > ${var.dir}/waiting; while ! test -e ${var.dir}/go; do sleep 0.05; done"]
    stdin = secret["waits"]
  }
  task "file" "behind" {
    path    = "${var.dir}/out/behind"
    content = secret["behind"]
  }
}
