# The lab of tests/lab: eight hosts behind a bastion, as in a VPC.
defaults {
  user = "ops"
  via  = "nat"
}

bastion "nat" {
  address = "203.0.113.10"
  user    = "ops"
  via     = ""
}

group "lb" {
  host "lb1" { address = "10.0.1.11" }
}

group "app" {
  vars = { app_port = 8080 }
  host "app1" { address = "10.0.1.21" }
  host "app2" { address = "10.0.1.22" }
}

group "db" {
  host "db1" {
    address = "10.0.1.31"
    vars    = { server_id = 1 }
  }
  host "db2" {
    address = "10.0.1.32"
    vars    = { server_id = 2 }
  }
  host "db3" {
    address = "10.0.1.33"
    vars    = { server_id = 3 }
  }
}

group "cache" {
  vars = { memcached_memory = 64 }
  host "cache1" { address = "10.0.1.41" }
}

group "log" {
  host "log1" { address = "10.0.1.51" }
}

# The shop, in two environments: what tells one from the other stands here.
group "production" {
  hosts = ["app1", "app2"]
  vars = {
    shop      = { port = 8081, memory = "64m", motto = "Good day." }
    balancers = ["lb"] # in whose backend "shop" the hosts are
  }
}

group "staging" {
  hosts = ["log1"]
  vars = {
    shop = { port = 8081, memory = "48m", motto = "This is staging." }
  }
}
