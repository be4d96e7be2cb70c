task "archive" "/opt/prometheus" {
  url      = "https://downloads.example.org/prometheus-3.5.0.tar.gz"
  checksum = "https://downloads.example.org/sha256sums.txt"
  strip    = 1
  owner    = "root"
}

task "archive" "/srv/www/shop" {
  from_path = "/srv/uploads/shop.zip"
  owner     = "www-data"
}
