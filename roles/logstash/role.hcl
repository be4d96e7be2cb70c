description = "Logstash, from a repository that has it, with its heap, settings, keystore and pipelines, and started with the host. No distribution has it."

variable "repository" {
  type = object({
    uri        = string                             # "https://artifacts.elastic.co/packages/9.x/apt"
    key        = string                             # the text of its public key, as it is published
    suite      = optional(string, "stable")
    components = optional(list(string), ["main"])
  })
  description = "the repository that Logstash comes from; by default one that the host knows already"
  default     = null
  validation {
    condition = var.repository == null || can(regex("^-----BEGIN PGP PUBLIC KEY BLOCK-----", trimspace(var.repository.key)))
    message   = "The key is the text of a public key, which begins with -----BEGIN PGP PUBLIC KEY BLOCK-----."
  }
  validation {
    condition = var.repository == null || can(regex("^[a-z]+:[^ \n]+$", var.repository.uri))
    message   = "The URI of a repository is one such as https://artifacts.elastic.co/packages/9.x/apt."
  }
}

variable "version" {
  type        = string
  description = "the version of the package; \"*\" in it stands for any text. By default one that is there stays"
  default     = null
}

variable "heap" {
  type        = string
  description = "how much memory Java may take for objects, as in \"1g\"; more than half of the host's is warned about"
  default     = null
}

variable "settings" {
  type        = any
  description = "settings, as in logstash.yml"
  default     = {}
}

variable "keystore" {
  type        = map(string)
  description = "values of the keystore, which settings and pipelines name as in \"$${ES_PASSWORD}\""
  default     = null
  sensitive   = true
}

variable "pipelines" {
  type = map(object({
    content = string # file("pipelines/shop.conf") leaves its text as it is
    workers = optional(number)
    queue   = optional(string)
  }))
  description = "the pipelines, by name; others are taken out, with their texts"
}

task "directory" "/etc/apt/keyrings" {
  when = var.repository != null
}

task "file" "/etc/apt/keyrings/logstash.asc" {
  when    = var.repository != null
  content = var.repository != null ? "${trimspace(var.repository.key)}\n" : null
}

task "file" "/etc/apt/sources.list.d/logstash.sources" {
  when    = var.repository != null
  content = var.repository != null ? join("", [for line in [
    "Types: deb",
    "URIs: ${var.repository.uri}",
    "Suites: ${var.repository.suite}",
    endswith(var.repository.suite, "/") ? "" : "Components: ${join(" ", var.repository.components)}",
    "Signed-By: /etc/apt/keyrings/logstash.asc",
  ] : "${line}\n" if line != ""]) : null
}

task "package" "logstash" {
  name = var.version == null ? "logstash" : "logstash=${var.version}"
}

# What goes does so first: its ports are free for what comes.
task "logstash" "logstash" {
  heap      = var.heap
  settings  = var.settings
  keystore  = var.keystore
  pipelines = keys(var.pipelines)
}

task "logstash_pipeline" "pipeline" {
  for_each = var.pipelines
  id       = each.key
  content  = each.value.content
  workers  = each.value.workers
  queue    = each.value.queue
}

task "service" "logstash" {
  enabled = true
}

output "logstash" {
  description = "its version, and the pipelines that ran when its settings were right"
  value       = task.logstash.logstash.output
}
