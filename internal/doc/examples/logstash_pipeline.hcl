task "logstash_pipeline" "shop" {
  content = <<-END
    input { beats { port => 5044 } }
    output {
      elasticsearch {
        hosts    => ["https://es1:9200"]
        user     => "logstash"
        password => "$${ES_PASSWORD}"
      }
    }
  END
  workers = 4
}
