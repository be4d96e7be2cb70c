task "wireguard" "wg0" {
  address = "10.9.0.1/24"
  listen  = 51820
}
