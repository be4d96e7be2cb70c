package modules

// Copier is a module that keeps a copy of a file of its host in a folder of the project
// (host.View.Copy, host.Host.Bring). The controller asks it where.
type Copier interface {
	// CopyOf is the folder, from the project's own, and the file's path on the host. An
	// argument that isn't known has its zero value.
	CopyOf() (to, path string)
}
