# Everything is constant: text, numbers, lists and objects.
host "a" {
  vars = {
    text      = "a${1 + 1}b"
    list      = [1, "two", { three = 3 }]
    doubled   = [for x in [1, 2] : x * 2]
    reference = var.x             # ERROR: Not a constant: "var" means nothing here
    bare      = mariadb           # ERROR: Not a constant: "mariadb" means nothing here. Write the value, in quotes if it is text
    inside    = "${host.name}-1"  # ERROR: Not a constant: "host" means nothing here
    call      = upper("x")        # ERROR: Not a constant: Write the result of upper()
    deep      = [{ x = [lower("x")] }] # ERROR: Not a constant: lower()
    text      = "again"           # ERROR: Duplicate variable: "text" has a value already, at testdata/constants.hcl:4.
    wrong     = 1 + "x"           # ERROR: Invalid operand
  }
}

host "b" {
  vars = ["x"] # ERROR: Invalid vars: Variables are an object
}

host "c" {
  address = local.address # ERROR: Not a constant: "local" means nothing here
}
