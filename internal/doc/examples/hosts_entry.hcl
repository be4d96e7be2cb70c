task "hosts_entry" "10.0.0.5" {
  names = ["db.example.com", "db"]
}
