task "redis" "sessions" {
  listen      = ["127.0.0.1", "10.0.1.41"]
  memory      = "1gb"
  policy      = "allkeys-lru"
  persistence = "snapshots"
  settings    = { timeout = 300, "lazyfree-lazy-eviction" = true }
}
