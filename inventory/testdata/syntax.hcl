# A file with an error of syntax is reported for that, and nothing else: names
# it would declare are missed nowhere.
group "g" {
  hosts = ["missing"]
}

host "x" {
  address = = "10.0.0.1" # ERROR: Invalid expression: Expected the start of an expression
}
