variable "dir" {
  type = string
}

variable "hosts" {
  type    = list(string)
  default = ["localhost"]
}

play "shop" {
  hosts  = var.hosts
  become = true
  task "directory" "out" {
    path = "${var.dir}/out"
  }
  task "file" "password" {
    path    = "${var.dir}/out/password"
    content = "${secret["canary-shop"]}\n"
  }
  task "htpasswd_user" "shop" {
    path     = "${var.dir}/out/users"
    password = secret["canary-shop"]
    cost     = 4
  }
}
