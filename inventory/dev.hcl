# This machine as the one that playbooks/dev_vm.hcl makes: what "muster bootstrap" puts in
# its place by itself, for plan, apply and drift.
group "dev" {
  host "localhost" { connection = "local" }
}
