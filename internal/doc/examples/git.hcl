task "git" "/home/ada/src/shop" {
  repository = "https://git.example.com/shop.git"
  become     = "ada"
}

task "git" "/srv/app" {
  repository = "git@git.example.com:app.git"
  version    = "v2.1"
}
