task "timezone" "Etc/UTC" {}
