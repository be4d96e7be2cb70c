task "git" "/home/ada/src/shop" {
  repository = "https://git.example.com/shop.git"
  become     = "ada"
}

task "git" "/srv/app" {
  repository = "git@git.example.com:app.git"
  ref        = "v2.1"
}
