description = "An end of a VPN: WireGuard, installed, with an interface that is up and comes up at boot, and its peers. The private key is made on the host and never leaves it."

variable "interface" {
  type        = string
  description = "the interface"
  default     = "wg0"
}

variable "address" {
  type        = list(string)
  description = "its own addresses with their lengths: \"10.9.0.1/24\""
}

variable "listen" {
  type        = number
  description = "the UDP port that it listens on; null for one that is free"
  default     = 51820
}

variable "peers" {
  type = map(object({
    public_key  = string
    allowed_ips = list(string)
    endpoint    = optional(string)
    keepalive   = optional(number)
    reroute     = optional(bool)
  }))
  description = "its peers, all of them, by name. By default they are left alone, for tasks of the kind wireguard_peer"
  default     = null
}

variable "preshared_keys" {
  type        = map(string)
  description = "keys that both ends share besides, by the names of peers: secrets"
  default     = {}
  sensitive   = true
  validation {
    condition = alltrue([for name in keys(var.preshared_keys) : contains(var.peers == null ? [] : keys(var.peers), name)])
    message   = var.peers == null ? "Preshared keys need peers to belong to: give the role those, or leave the keys to tasks of the kind wireguard_peer." : "Each preshared key has the name of one of peers: ${join(", ", keys(var.peers))}. One has another."
  }
}

variable "forward" {
  type        = bool
  description = "whether packets go on from peers to other networks, and to each other. The role nat masquerades them where they need it"
  default     = false
}

variable "userspace" {
  type        = bool
  description = "whether wireguard-go is installed, too, for a host whose kernel has no WireGuard"
  default     = false
}

# What wireguard-tools recommends is a whole kernel, where none is installed.
task "package" "wireguard" {
  name       = concat(["wireguard-tools", "iproute2", "nftables"], var.userspace ? ["wireguard-go"] : [])
  recommends = false
}

task "sysctl" "net.ipv4.ip_forward" {
  when  = var.forward
  value = "1"
}

task "wireguard" "interface" {
  name    = var.interface
  address = var.address
  listen  = var.listen
  peers = var.peers == null ? null : {
    for name, peer in var.peers : name => merge(peer, { preshared_key = lookup(var.preshared_keys, name, null) })
  }
}

output "public_key" {
  description = "its public key, which the other ends need"
  value       = task.wireguard.interface.output.public_key
}
