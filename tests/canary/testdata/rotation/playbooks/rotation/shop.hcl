# A rotation whose programs say all that they are told, and more.
variable "dir" {
  type = string
}

variable "hosts" {
  type    = list(string)
  default = ["localhost"]
}

variable "stop" {
  type    = bool
  default = false
}

rotation "canary_shop" {
  secret = "canary-shop"
  every  = "30d"
  grace  = "0s"
  generate {
    length     = 40
    characters = ["lower", "upper", "digits", "symbols"]
  }
  accept {
    hosts  = var.hosts
    become = true
    task "file" "accepted" {
      path    = "${var.dir}/out/accepted"
      mode    = "0600"
      content = "${rotation.new}\n${rotation.old}\n"
    }
    task "command" "loads" {
      shell = "cat '${var.dir}/out/accepted'; base64 '${var.dir}/out/accepted' >&2"
    }
  }
  consumers "shop" {
    hosts  = var.hosts
    become = true
    task "file" "password" {
      path    = "${var.dir}/out/password"
      content = "${secret["canary-shop"]}\n"
    }
    task "command" "logs_in" {
      argv  = ["cat"]
      stdin = secret["canary-shop"]
    }
    task "command" "waits" {
      # Whoever makes this gets the number of its remote, and lets it go on or not.
      shell = "cat '${var.dir}/out/password'; if [ -p '${var.dir}/wait' ]; then echo $PPID >'${var.dir}/waiting.tmp'; mv '${var.dir}/waiting.tmp' '${var.dir}/waiting'; cat '${var.dir}/wait'; fi"
    }
    task "command" "breaks" {
      when  = var.stop
      shell = "cat '${var.dir}/out/password' '${var.dir}/out/accepted' >&2; exit 3"
    }
  }
  consumers "site" {
    apply = "../../site.hcl"
  }
  verify {
    hosts  = var.hosts
    become = true
    task "command" "shows" {
      shell     = "cat '${var.dir}/out/password'"
      read_only = true
    }
  }
  retire {
    hosts  = var.hosts
    become = true
    task "file" "accepted" {
      path    = "${var.dir}/out/accepted"
      mode    = "0600"
      content = "${rotation.new}\n"
    }
    task "command" "shows" {
      shell = "cat '${var.dir}/out/accepted'"
    }
  }
}
