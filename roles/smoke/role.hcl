description = "One request that a host makes of itself, tried until the answer is right; where it never is, the unit's last words are shown."

variable "url" {
  type        = string
  description = "what is asked for"
  validation {
    condition = can(regex("^https?://", var.url))
    message   = "The URL begins with http:// or https://."
  }
}

variable "contains" {
  type        = string
  description = "a text that the answer has to contain"
}

variable "unit" {
  type        = string
  description = "the unit that answers"
}

variable "attempts" {
  type        = number
  description = "how often it is tried, a second apart"
  default     = 10
}

block "ask" {
  task "http_check" "answer" {
    url      = var.url
    contains = var.contains
    retry {
      attempts = var.attempts
      delay    = "1s"
    }
  }

  rescue {
    task "command" "log" {
      argv         = ["journalctl", "--unit", var.unit, "--lines", "5", "--no-pager", "--output", "cat"]
      changed_when = false
    }
    task "assert" "answer" {
      condition = false
      message   = "${var.url} doesn't answer with ${jsonencode(var.contains)}. The last words of ${var.unit}:\n${task.command.log.output.stdout}"
    }
  }
}
