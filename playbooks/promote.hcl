# What staging runs becomes what production runs: the same image, by its digest,
# whatever its tag has come to stand for since.
#
#   muster apply playbooks/promote.hcl -i inventory/lab.hcl

include "staging.hcl" { vars = { environment = "production", from = "staging" } }
