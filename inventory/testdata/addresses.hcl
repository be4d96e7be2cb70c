# One machine under two names is a warning.
bastion "nat" {}

host "a" { address = "10.0.0.1" }

host "b" { address = "10.0.0.1" } # WARNING: Same address twice: The hosts "a" (testdata/addresses.hcl:4) and "b" have the address 10.0.0.1

host "c" { address = "10.0.0.1" }

host "d" {
  address = "10.0.0.1"
  port    = 2222
}

host "e" {
  address = "10.0.0.1"
  via     = "nat"
}

host "f" {
  address    = "10.0.0.1"
  connection = "local"
}

host "g" { connection = "local" } # WARNING: Same address twice: The hosts "f" (testdata/addresses.hcl:20) and "g" are both this machine
