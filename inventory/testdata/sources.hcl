# Arguments of sources are checked without asking any.
source "program" "good" {
  command = ["./testdata/hosts.sh"]
  cache   = "5m"
  user    = "ops"
  via     = "nat" # it could come from a source
}

source "programm" "x" {} # ERROR: Unknown source: There is no source of type "programm". Did you mean "program"?

source "program" "empty" {
  command = [] # ERROR: Invalid source: A program is needed
}

source "program" "none" {} # ERROR: Missing argument: A source "program" needs command.

source "program" "text" {
  command = "./hosts.sh" # ERROR: Invalid command: Command is a list of string, and this is a string.
}

source "program" "null" {
  command = ["./hosts.sh", null] # ERROR: Invalid command
}

source "program" "good" { # ERROR: Duplicate source: There is a source "program" "good" already, at testdata/sources.hcl:2.
  command = ["true"]
}

source "ansible" "slow" {
  path  = "hosts.ini"
  cache = "5m" # ERROR: Unknown argument: A source "ansible" takes no argument "cache".
}

source "program" "cached" {
  command = ["true"]
  cache   = "5 minutes" # ERROR: Invalid cache: such as "30s", "5m" or "1h"
  timeout = "-1s"       # ERROR: Invalid timeout
}

source "ansible" { # ERROR: Missing label: Write source "TYPE" "NAME" { … }.
  path = "hosts.ini"
}

group "cloud" {
  hosts = ["not-known-until-asked"]
}
