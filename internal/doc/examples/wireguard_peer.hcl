task "wireguard_peer" "ada" {
  public_key  = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
  keepalive   = 25
  allowed_ips = ["10.9.0.2/32"]
}
