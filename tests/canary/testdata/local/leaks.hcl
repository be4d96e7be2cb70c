# Tasks that give away what they were given, past muster.
variable "dir" {
  type = string
}

play "leaks" {
  hosts = ["localhost"]
  task "command" "to a file" {
    argv  = ["sh", "-c", "base64 > ${var.dir}/tmp/leak"]
    stdin = secret["content"]
  }
  task "command" "to a command line" {
    argv  = ["bash", "-c", "exec -a \"$(cat)\" sleep 1"]
    stdin = secret["stdin"]
  }
  task "command" "to an environment" {
    argv  = ["sh", "-c", "TOKEN=$(cat) exec sleep 1"]
    stdin = secret["output"]
  }
}
