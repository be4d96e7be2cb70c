inventory = "hosts.hcl"
secrets   = "secrets/production.hcl"
