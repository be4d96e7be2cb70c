task "authorized_key" "ada" {
  keys      = [file("ada.pub")]
  exclusive = true
}
