# Hosts on a line each take what host blocks take, with the same mistakes.
hosts = {
  ok1               = { address = "10.0.1.1", port = 2222, vars = { id = 1 } }
  "ok2.example.com" = {}
  "-oops"           = {}                                 # ERROR: Invalid name: The name "-oops" begins with '-'.
  bad1              = { adress = "10.0.1.2" }            # ERROR: Unknown argument: A host takes no argument "adress". Did you mean "address"?
  bad2              = { address = "ops@10.0.1.2" }       # ERROR: Invalid address: Write address = "10.0.1.2" and user = "ops".
  bad3              = { port = 70000 }                   # ERROR: Invalid port: A port is a whole number from 1 to 65535.
  bad4              = { address = nat.address }          # ERROR: Not a constant
  bad5              = { vars = ["x"] }                   # ERROR: Invalid vars
  bad6              = { user = "a", user = "b" }         # ERROR: Attribute redefined: "user" has a value already, at testdata/lines.hcl:11.
  bad7              = "10.0.1.7"                         # ERROR: Invalid hosts: bad7 = { address = "10.0.1.21" }.
  bad8              = { via = "nowhere" }                # ERROR: Unknown bastion
  twice             = {}
  twice             = {}                                 # ERROR: Duplicate host: "twice" is declared already, at testdata/lines.hcl:14.
  block             = {}
}

host "block" {} # ERROR: Duplicate host: "block" is declared already, at testdata/lines.hcl:16.

group "g" {
  hosts = {
    in1 = { address = "10.0.2.1" }
    ok1 = {} # ERROR: Duplicate host: name it in that group's hosts
  }
  host "in2" {}
}

group "h" {
  hosts = ["in1", "in2", "ok1", "in3"] # ERROR: Unknown host: There is no host "in3".
}

group "none" {
  hosts = {}
}

group "i" {
  hosts = "in1" # ERROR: Invalid hosts: This is a list of names
}

group "all" {
  hosts = { all1 = {} } # ERROR: Hosts in all
}
