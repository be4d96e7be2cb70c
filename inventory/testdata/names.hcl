# Names of hosts and groups, and where they may stand.
host "ok-1_2.example.com" {}

host "-oops" {} # ERROR: Invalid name: The name "-oops" begins with '-'.

host "..hidden" {} # ERROR: Invalid name: begins with '.'

host "a b" {} # ERROR: Invalid name: holds ' '

host "" {} # ERROR: Invalid name: A name can't be empty.

host "größe" {} # ERROR: Invalid name: holds 'ö'

group "web!" {} # ERROR: Invalid name: holds '!'

host "twice" {}

host "twice" {} # ERROR: Duplicate host: "twice" is declared already, at testdata/names.hcl:16.

group "g" {
  host "inner" {}
}

group "h" {
  host "inner" {} # ERROR: Duplicate host: name it in that group's hosts
}

group "g" {} # ERROR: Duplicate group: There is a group "g" already, at testdata/names.hcl:20.

host "h" {} # ERROR: Host named like a group: There is a group "h" (declared at testdata/names.hcl:24)

host "all" {} # ERROR: Host named like a group: it holds every host

bastion "both" {}

host "both" {} # ERROR: Duplicate host: "both" is declared as host and as bastion (the other is at testdata/names.hcl:34).

bastion "nat" {}

bastion "nat" {} # ERROR: Duplicate bastion: "nat" is declared already

host { # ERROR: Missing label: Write host "NAME" { … }.
}

host "x" "y" {} # ERROR: Extra label: This label is one more than are written before the brace of host "NAME" { … }

hosts "x" {} # ERROR: Unknown block: "hosts" is an argument: write hosts = { … }

group "outer" {
  group "nested" {} # ERROR: Unknown block: name it in children = ["nested"].
}

host = "x" # ERROR: Unknown argument: "host" is a block

answer = 42 # ERROR: Unknown argument: An inventory takes no argument "answer".
