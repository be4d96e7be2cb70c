# Members of groups and circles among them.
bastion "nat" {}

host "db1" {}

group "db" {
  hosts = ["db1", "db1"]
}

group "data" {
  children = ["db", "bd"]   # ERROR: Unknown group: There is no group "bd". Did you mean "db"?
  hosts    = ["db2", "db1"] # ERROR: Unknown host: There is no host "db2". Did you mean "db1"? Declare it with host "db2" { … }.
}

group "mixed" {
  children = ["db1"] # ERROR: Unknown group: "db1" is a host, and children are groups. Name it in hosts.
  hosts    = ["db"]  # ERROR: Unknown host: "db" is a group. Name it in children.
}

group "edge" {
  hosts = ["nat"] # ERROR: Bastion in a group: "nat" is a bastion
}

group "one" {
  children = ["two"]
}

group "two" {
  children = ["three", "db"]
}

group "three" {
  children = ["one"] # ERROR: Groups in a circle: A group can't hold itself: one > two > three > one.
}

group "self" {
  children = ["self"] # ERROR: Groups in a circle: self > self.
}

group "top" {
  children = ["all"] # ERROR: Group all as a child
}

group "all" {
  vars  = { x = 1 }
  hosts = ["db1"] # ERROR: Hosts in all: Every host is in the group "all"
}

group "bad" {
  hosts    = "db1"     # ERROR: Invalid hosts: This is a list of names
  children = [1, "db"] # ERROR: Invalid children: here stands a number.
}
