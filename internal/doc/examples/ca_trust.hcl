task "ca_trust" "shop" {
  certificate = var.certificate
}
