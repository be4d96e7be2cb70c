package real

import (
	"strings"
	"testing"
)

// A container with a network and a volume of its own: made in one run, kept from harm,
// and removed in one.
func TestNetworkAndVolumeOfAContainer(t *testing.T) {
	const text = `
variable "subnet" {
  type    = string
  default = "10.240.0.0/24"
}
variable "state" {
  type    = string
  default = "present"
}
locals {
  there = var.state == "present"
}

play "networks" {
  hosts  = ["log1"]
  become = true
  task "package" "docker.io" {}
  task "service" "docker" { enabled = true }
  task "docker_container" "gone" {
    when  = !local.there
    name  = "net-web"
    state = "absent"
  }
  task "docker_network" "net-app" {
    subnet = local.there ? var.subnet : null
    state  = var.state
  }
  task "docker_volume" "net-data" { state = var.state }
  task "docker_container" "net-web" {
    when     = local.there
    image    = "net-box:1"
    pull     = "never"
    command  = ["/bin/busybox", "sleep", "1000"]
    networks = ["net-app"]
    volumes  = ["net-data:/data"]
  }
}
`
	s := newSite(t, text)
	on(t, dockerHost, "apt-get install -yqq docker.io busybox-static >/dev/null && systemctl start docker && tar -C / -c bin/busybox | docker import - net-box:1")
	s.muster(0, "apply", "site.hcl", "--yes")
	if in := on(t, dockerHost, "docker inspect -f '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}} {{range .Mounts}}{{.Name}}{{end}}' net-web"); in != "10.240.0.2 net-data" {
		t.Errorf("the container has %q", in)
	}
	if r := s.muster(0, "apply", "site.hcl", "--yes"); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("the second run:\n%s", r.Out)
	}
	id := on(t, dockerHost, "docker network inspect -f '{{.Id}}' net-app")
	r := s.muster(4, "apply", "site.hcl", "--yes", "--var", "subnet=10.241.0.0/24")
	if !strings.Contains(r.Out+r.Err, "while containers belong to it: net-web.") || on(t, dockerHost, "docker network inspect -f '{{.Id}}' net-app") != id {
		t.Errorf("a network that is in use:\n%s%s", r.Out, r.Err)
	}
	r = s.muster(0, "apply", "site.hcl", "--yes", "--var", "state=absent")
	if !strings.Contains(r.Out, "its data is lost") || on(t, dockerHost, "docker ps -aq -f name=net-; docker network ls -q -f name=net-; docker volume ls -q -f name=net-") != "" {
		t.Errorf("all of it is to go:\n%s", r.Out)
	}
	if r := s.muster(0, "apply", "site.hcl", "--yes", "--var", "state=absent"); !strings.Contains(r.Out, "Nothing to change") {
		t.Errorf("once more:\n%s", r.Out)
	}
}
