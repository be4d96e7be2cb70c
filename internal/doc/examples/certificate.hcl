task "certificate" "internal" {
  path  = "/etc/ssl/internal.pem"
  key   = "/etc/ssl/private/internal.key"
  names = ["internal.example.com", "10.0.0.5"]
}
