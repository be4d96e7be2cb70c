# Bastions that are reached through themselves, each reported once.
bastion "a" {
  via = "b"
}

bastion "b" {
  via = "c"
}

bastion "c" {
  via = "a" # ERROR: Bastions in a circle: a via b via c via a.
}

bastion "d" {
  via = "a"
}

bastion "e" {
  via = "e" # ERROR: Bastions in a circle: e via e.
}
