description = "Network address translation: the host forwards what comes from inside networks and gives it the address of its own outside interface. The rules stand in a table of their own, so that Docker's and everybody else's stay as they are."

variable "inside" {
  type        = list(string)
  description = "the networks behind the host: \"10.0.1.0/24\""
  validation {
    condition = length(var.inside) > 0 && alltrue([for n in var.inside : can(regex("^[0-9]+(\\.[0-9]+){3}/([0-9]|[12][0-9]|3[0-2])$", n))])
    message   = "An inside network is one of IPv4 with its length, such as 10.0.1.0/24."
  }
}

variable "outside" {
  type        = string
  description = "the interface whose address they get: \"eth0\""
  validation {
    condition = can(regex("^[A-Za-z0-9_.-]{1,15}$", var.outside))
    message   = "The outside is the name of an interface, such as eth0."
  }
}

variable "closed" {
  type        = bool
  description = "whether nobody outside can begin a connection to an inside network, but for what other rules forward by dnat"
  default     = true
}

locals {
  networks = join(", ", var.inside)
}

task "package" "nftables" {}

# Before Docker is first started: one that has to switch forwarding on itself drops by
# policy what isn't its own.
task "sysctl" "net.ipv4.ip_forward" {
  value = "1"
}

# Last: a new login has to get in through the host as it is then.
task "nftables" "ip muster_nat" {
  interfaces = [var.outside]
  content = join("", [
    "chain postrouting {\n",
    "  type nat hook postrouting priority srcnat; policy accept;\n",
    "  oifname \"${var.outside}\" ip saddr { ${local.networks} } masquerade\n",
    "}\n",
    !var.closed ? "" : join("", [
      "chain forward {\n",
      "  type filter hook forward priority filter; policy accept;\n",
      "  iifname \"${var.outside}\" ip daddr { ${local.networks} } ct state established,related accept\n",
      "  iifname \"${var.outside}\" ip daddr { ${local.networks} } ct status dnat accept\n",
      "  iifname \"${var.outside}\" ip daddr { ${local.networks} } drop\n",
      "}\n",
    ]),
  ])
}
