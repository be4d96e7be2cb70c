package docker

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"muster/host"
)

// found is an image that a task wants, as it was found.
type found struct {
	ref
	// Digest is what the registry has; "" for an image that only this host has.
	Digest string
	// ID is the image on this host; "" where it has to be pulled.
	ID string
	// Tagged: the tag stands for it on this host.
	Tagged bool
	// Former is the image for which the tag stands on this host, "" for none.
	Former string
}

// kept is what stands at an image's key: what its reference stands for.
type kept struct {
	Digest string `json:"digest,omitempty"`
	ID     string `json:"id,omitempty"`
}

// identity is what two hosts agree on: the digest, else the image itself.
func (f found) identity() string {
	if f.Digest != "" {
		return f.Digest
	}
	return "image " + f.ID
}

// find finds out which image a reference stands for: on this host, or by its registry,
// without pulling anything. pull is "missing", "always" or "never".
func find(ctx context.Context, v *host.View, r ref, pull, platform string) (found, error) {
	f := found{ref: r}
	value, laid, _, err := v.Look(host.Key{Space: images, Name: r.String()})
	if err != nil {
		return f, err
	}
	list, err := listImages(ctx, v)
	if err != nil {
		return f, err
	}
	if laid {
		var k kept
		if value == nil {
			return f, fmt.Errorf("an earlier task removes the image %s", r.short())
		}
		if err := host.Unmarshal(value, &k); err != nil {
			return f, err
		}
		f.Digest, f.ID, f.Tagged = k.Digest, k.ID, true
		if f.ID == "" {
			f.ID = k.Digest // what will be here
		}
		return f, nil
	}
	local := slices.IndexFunc(list, func(i image.Summary) bool { return has(i, r) })
	if local >= 0 {
		f.Former, f.ID, f.Digest, f.Tagged = list[local].ID, list[local].ID, digestOf(list[local], r), true
	}
	if r.digest != "" {
		f.Digest = r.digest
		if local < 0 && pull != "never" {
			_, err = askRegistry(ctx, v, r, platform)
		}
	} else {
		mine, err := "", error(nil)
		if local >= 0 && pull != "always" {
			mine = f.identity()
		}
		if mine == "" && pull == "never" {
			return f, notHere(r)
		}
		answer, err := v.Pin(ctx, "the image "+r.short(), mine, func(ctx context.Context) (string, error) { return askRegistry(ctx, v, r, platform) })
		if err != nil {
			return f, err
		}
		if mine == "" && strings.HasPrefix(answer, "image ") {
			return f, fmt.Errorf("the image %s is one that only another host has: push it to a registry, or load it here, too", r.short())
		}
		if mine == "" {
			f.Digest = answer
			f.ID, f.Tagged = "", false
			if at := slices.IndexFunc(list, func(i image.Summary) bool { return slices.Contains(i.RepoDigests, familiar(r.at(answer))) }); at >= 0 {
				f.ID, f.Tagged = list[at].ID, local == at
			}
		}
	}
	if err == nil && f.ID == "" && pull == "never" {
		err = notHere(r)
	}
	return f, err
}

func notHere(r ref) error {
	return fmt.Errorf(`the image %s isn't on this host, and pull = "never": load it in an earlier task, or let it be pulled`, r.short())
}

// has reports whether a reference stands for an image of this host.
func has(i image.Summary, r ref) bool {
	if r.digest != "" {
		return slices.Contains(i.RepoDigests, familiar(r.String()))
	}
	return slices.Contains(i.RepoTags, familiar(r.String()))
}

// digestOf is what the registry calls an image of this host; "" where it came from none.
func digestOf(i image.Summary, r ref) string {
	for _, d := range i.RepoDigests {
		if digest, ok := strings.CutPrefix(d, familiar(r.name)+"@"); ok {
			return digest
		}
	}
	return ""
}

// familiar is a reference as the daemon lists it.
func familiar(s string) string {
	r, err := parseRef(s)
	if err != nil {
		return s
	}
	short := r.short()
	if !strings.ContainsAny(s[strings.LastIndex(s, "/")+1:], ":@") {
		short = strings.TrimSuffix(short, ":latest")
	}
	return short
}

// askRegistry returns the digest that a registry has for an image. It is an error where
// there is none for this host.
func askRegistry(ctx context.Context, v *host.View, r ref, platform string) (string, error) {
	c, err := asking(ctx, v)
	if err != nil {
		return "", err
	}
	auth, err := credentials(ctx, v, r.registry())
	if err != nil {
		return "", err
	}
	said, err := c.DistributionInspect(ctx, r.String(), client.DistributionInspectOptions{EncodedRegistryAuth: auth})
	if err != nil {
		return "", refused(r, err)
	}
	os, arch, _ := strings.Cut(platformOr(platform), "/")
	arch, _, _ = strings.Cut(arch, "/")
	var offered []string
	for _, p := range said.Platforms {
		if p.OS == os && p.Architecture == arch {
			return said.Descriptor.Digest.String(), nil
		}
		offered = append(offered, p.OS+"/"+p.Architecture)
	}
	if len(offered) == 0 {
		return said.Descriptor.Digest.String(), nil
	}
	wanted := os + "/" + arch
	if platform == "" {
		wanted += ", which this host is,"
	}
	return "", fmt.Errorf("the image %s isn't for %s but for %s", r.short(), wanted, strings.Join(offered, ", "))
}

func platformOr(platform string) string {
	if platform == "" {
		return "linux/" + runtime.GOARCH
	}
	return platform
}

// refused says what a registry's answer means.
func refused(r ref, err error) error {
	text := err.Error()
	_, last, ok := strings.Cut(text, "Error response from daemon: ")
	if ok {
		text = last
	}
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		return err
	case errdefs.IsNotFound(err), strings.Contains(text, "manifest unknown"), strings.Contains(text, "not found"):
		return fmt.Errorf("the registry %s has no %s: %s", r.registry(), r.short(), text)
	case errdefs.IsUnauthorized(err), errdefs.IsPermissionDenied(err), strings.Contains(text, "unauthorized"), strings.Contains(text, "no basic auth"), strings.Contains(text, "denied"):
		return fmt.Errorf("the registry %s doesn't give out %s: %s. Log in to it in an earlier task, task \"docker_login\" %q { … }", r.registry(), r.short(), text, r.registry())
	}
	return fmt.Errorf("asking the registry %s for %s: %s", r.registry(), r.short(), text)
}
