// Package docker has the kinds that set up Docker and what runs in it.
package docker

import (
	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "docker_image", Output: ImageOutput{}, Undoes: []host.Change{&UntagImage{}}, New: func() modules.Module { return &Image{} }},
		{Name: "docker_container", Output: ContainerOutput{}, Undoes: []host.Change{&PutBack{}, &Act{}, &UpdateContainer{}, &UntagImage{}}, New: func() modules.Module { return &Container{} }},
		{Name: "docker_compose", Output: ComposeOutput{}, Undoes: []host.Change{&PutBack{}, &Act{}, &UpdateContainer{}, &UntagImage{}, &CreateNetwork{}, &RemoveNetwork{}, &RemoveVolume{}}, New: func() modules.Module { return &Compose{} }},
		{Name: "docker_engine", Undoes: []host.Change{&EngineAct{}}, New: func() modules.Module { return &Engine{} }},
		{Name: "docker_network", Output: NetworkOutput{}, Undoes: []host.Change{&CreateNetwork{}, &RemoveNetwork{}}, New: func() modules.Module { return &Network{} }},
		{Name: "docker_prune", Output: PruneOutput{}, New: func() modules.Module { return &Prune{} }},
		{Name: "docker_login", New: func() modules.Module { return &Login{} }},
		{Name: "docker_volume", Output: VolumeOutput{}, Undoes: []host.Change{&RemoveVolume{}}, New: func() modules.Module { return &Volume{} }},
	}
}

// Spaces of what the daemon keeps. A container's, a network's and a volume's name is its
// own; an image's is its full reference, such as "docker.io/library/alpine:3.20".
const (
	containers = "docker_container"
	images     = "docker_image"
	networks   = "docker_network"
	volumes    = "docker_volume"
)

// socket is where the daemon answers; unit is what it runs as.
const (
	socket = "/run/docker.sock"
	unit   = "docker.service"
)

// engineKeys is what every answer of the daemon depends on.
var engineKeys = []host.Key{{Space: host.Units, Name: unit}}
