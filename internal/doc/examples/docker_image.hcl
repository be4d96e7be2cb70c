task "docker_image" "registry.example.com/app:1.4" {}
