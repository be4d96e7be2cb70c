task "text_block" "addresses of the fleet" {
  path    = "/etc/hosts"
  marker  = "# {mark} fleet"
  content = join("\n", [for n in groups.all : "${hosts[n].address} ${n}"])
}
