task "archive" "/opt/prometheus" {
  url      = "https://github.com/prometheus/prometheus/releases/download/v3.5.0/prometheus-3.5.0.linux-amd64.tar.gz"
  checksum = "https://github.com/prometheus/prometheus/releases/download/v3.5.0/sha256sums.txt"
  strip    = 1
  owner    = "root"
}

task "archive" "/srv/www/shop" {
  from_path = "/srv/uploads/shop.zip"
  owner     = "www-data"
}
