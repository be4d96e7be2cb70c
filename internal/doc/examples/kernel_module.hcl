task "kernel_module" "br_netfilter" {}

task "kernel_module" "usb_storage" {
  state = "blacklisted"
}
