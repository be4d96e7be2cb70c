task "nftables" "inet filter" {
  content = <<-EOT
    chain input {
      type filter hook input priority filter; policy drop;
      ct state established,related accept
      iif lo accept
      meta l4proto { icmp, icmpv6 } accept
      tcp dport { 22, 443 } accept
    }
  EOT
}
