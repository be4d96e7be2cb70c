# A release of the shop: on staging first, then on production, a server after the
# other, each taken out of HAProxy while its container is replaced. Where one doesn't
# answer as it should it has its last container back, and the others are left as they
# are.
#
#   muster plan  playbooks/deploy.hcl -i inventory/lab.hcl --var release=2
#   muster apply playbooks/deploy.hcl -i inventory/lab.hcl --var release=2

variable "release" {
  type        = string
  description = "the tag of the image"
}

include "staging.hcl" { vars = { environment = "staging", release = var.release } }
include "staging.hcl" { vars = { environment = "production", release = var.release } }
