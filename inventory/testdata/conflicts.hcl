# Groups that disagree about a host.
group "parent" {
  children = ["child"]
  vars     = { a = "parent", e = 1 }
  user     = "parent"
}

group "child" {
  vars = { a = "child", b = 1, c = [1] }
  user = "child"

  host "fine" {}
  host "torn" {}
  host "also_torn" {}
  host "own" {
    user = "own"
    vars = { b = 0 }
  }
}

group "stranger" {
  vars  = { b = 2, c = [1] } # ERROR: Groups disagree: The host "torn" is in two groups that set the variable "b"
  user  = "stranger"         # ERROR: Groups disagree: set the setting "user" to different values: group child (testdata/conflicts.hcl:10) and group stranger (testdata/conflicts.hcl:23)
  hosts = ["torn", "also_torn", "own"]
}

group "same" {
  vars  = { c = [1], e = 1 }
  hosts = ["fine"]
}
