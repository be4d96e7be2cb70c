task "logstash" "logstash" {
  heap      = "2g"
  settings  = { "queue.type" = "persisted", "queue.max_bytes" = "4gb" }
  keystore  = { ES_PASSWORD = var.es_password }
  pipelines = ["shop"]
}
