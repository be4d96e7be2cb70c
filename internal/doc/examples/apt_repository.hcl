task "apt_repository" "debian" {
  uris       = "https://deb.debian.org/debian"
  suites     = ["bookworm", "bookworm-updates"]
  components = "main"
  signed_by  = "/usr/share/keyrings/debian-archive-keyring.gpg"
}

task "apt_repository" "shop" {
  uris        = "https://deb.example.org/shop"
  suites      = "stable"
  components  = "main"
  signed_by   = "https://deb.example.org/shop.asc"
  fingerprint = "F691 E07A 9E98 266C 8BE0  93CF 06B3 69DF 0823 6C73"
}
