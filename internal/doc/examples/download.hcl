task "download" "/usr/local/bin/tool" {
  url      = "https://downloads.example.org/tool/1.4.2/tool-linux-amd64"
  checksum = "https://downloads.example.org/tool/1.4.2/SHA256SUMS"
  mode     = "0755"
}
