task "print" "where" {
  message = "The site is at http://${host.address}/"
}
