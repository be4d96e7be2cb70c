task "git" "/home/ada/src/shop" {
  repository = "https://git.example.com/shop.git"
  become     = "ada"
}

task "git" "/srv/app" {
  repository = "git@git.example.com:app.git"
  ref        = "v2.1"
}

task "git" "/srv/wiki" {
  repository = "git@git.example.com:wiki.git"
  user       = "wiki"
  depth      = 1
  submodules = true
  key        = var.wiki_deploy_key
  host_keys  = [var.git_host_key]
}
