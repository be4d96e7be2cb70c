task "unit" "app.service" {
  content = <<-UNIT
    [Service]
    ExecStart=/srv/app/bin/app
    User=app

    [Install]
    WantedBy=multi-user.target
  UNIT
}
