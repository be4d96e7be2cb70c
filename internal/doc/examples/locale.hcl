task "locale" "de_DE.UTF-8" {
  default   = true
  variables = { LC_MESSAGES = "C.UTF-8" }
}
