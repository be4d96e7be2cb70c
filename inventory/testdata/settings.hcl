# What a host, a bastion and defaults may say of how they are reached.
defaults {
  user    = "ops"
  via     = "nat"
  address = "10.0.0.1" # ERROR: Unknown argument: Defaults takes no argument "address". It takes user, via, port, identity, connection.
}

defaults { # ERROR: Duplicate defaults: the first stands at testdata/settings.hcl:2.
  user = "root"
}

bastion "nat" {
  address    = "203.0.113.10"
  connection = "ssh" # ERROR: Unknown argument: A bastion takes no argument "connection".
}

bastion "second" {
  address = "203.0.113.11"
  via     = "nta" # ERROR: Unknown bastion: There is no bastion "nta". Did you mean "nat"?
}

host "a1" {
  address = "ops@10.0.0.1" # ERROR: Invalid address: Write address = "10.0.0.1" and user = "ops".
}

host "a2" {
  address = "10.0.0.2:2222" # ERROR: Invalid address: Write address = "10.0.0.2" and port = 2222.
}

host "a3" {
  address = "10.0.0.3; reboot" # ERROR: Invalid address: use a host name or an IP address
}

host "a4" {
  address = "fd00::4"
  port    = 70000 # ERROR: Invalid port: A port is a whole number from 1 to 65535.
}

host "a5" {
  port = "ssh" # ERROR: Invalid port: A port is a number, and this is a string.
}

host "a6" {
  port = 22.5 # ERROR: Invalid port: whole number
}

host "a7" {
  user = "-oProxyCommand=x" # ERROR: Invalid user: is not a user's name
}

host "a8" {
  connection = "winrm" # ERROR: Invalid connection: There is no connection "winrm".
}

host "a9" {
  adress = "10.0.0.9" # ERROR: Unknown argument: A host takes no argument "adress". Did you mean "address"?
}

host "a10" {
  via = "a1" # ERROR: Unknown bastion: "a1" is a host, and via names a bastion.
}

host "a11" {
  via = ""
}

host "a12" {
  via  = null
  user = ["ops"] # ERROR: Invalid user: A user is a string, and this is a tuple.
}

host "a13" {
  vars { # ERROR: Unknown block: "vars" is an argument
    x = 1
  }
}
