task "limits" "50-app" {
  domain = "@app"
  soft   = { nofile = 65536 }
  hard   = { nofile = 131072, core = 0 }
}
