package docker

import (
	"fmt"
	"strings"

	"github.com/distribution/reference"
)

// ref is an image as the world knows it: "docker.io/library/alpine" with a tag, or with
// the digest of what a registry has.
type ref struct {
	name   string
	tag    string // "" where there is a digest
	digest string // "sha256:…"
}

// parseRef reads what a playbook calls an image: "alpine", "registry:5000/app:1.4",
// "app@sha256:…". No tag is "latest", as docker has it.
func parseRef(s string) (ref, error) {
	named, err := reference.ParseNormalizedNamed(s)
	if err != nil {
		return ref{}, fmt.Errorf("%q is no image: %s", s, strings.TrimPrefix(err.Error(), "invalid reference format: "))
	}
	r := ref{name: named.Name()}
	if d, ok := named.(reference.Digested); ok {
		r.digest = d.Digest().String()
		return r, nil
	}
	r.tag = reference.TagNameOnly(named).(reference.Tagged).Tag()
	return r, nil
}

// String is the reference in full.
func (r ref) String() string {
	if r.digest != "" {
		return r.name + "@" + r.digest
	}
	return r.name + ":" + r.tag
}

// at is what a registry has of the image under a digest.
func (r ref) at(digest string) string { return r.name + "@" + digest }

// short is the reference as docker shows it.
func (r ref) short() string {
	named, err := reference.ParseNormalizedNamed(r.String())
	if err != nil {
		return r.String()
	}
	return reference.FamiliarString(named)
}

// registry is the host that has the image, as docker's credentials call it.
func (r ref) registry() string {
	host, _, _ := strings.Cut(r.name, "/")
	if host == "docker.io" {
		return "https://index.docker.io/v1/"
	}
	return host
}
