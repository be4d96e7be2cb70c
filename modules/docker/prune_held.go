package docker

import (
	"context"
	"maps"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/client"

	"muster/host"
)

// heldImage is an image of the host as pending changes leave it.
type heldImage struct {
	id, parent string
	created    int64           // when it was built, in seconds since 1970
	size       int64           // with what it shares with others
	names      map[string]bool // its tags and digests, as the daemon lists them
	used       bool            // a container is made of it
}

// refs are its names, tags first.
func (i *heldImage) refs() []string {
	return slices.SortedFunc(maps.Keys(i.names), func(a, b string) int {
		if x, y := strings.Contains(a, "@"), strings.Contains(b, "@"); x != y {
			return map[bool]int{false: -1, true: 1}[x]
		}
		return strings.Compare(a, b)
	})
}

// repositories are those that it has a tag or a digest of.
func (i *heldImage) repositories() []string {
	names := map[string]bool{}
	for name := range i.names {
		names[repositoryOf(name)] = true
	}
	return slices.Sorted(maps.Keys(names))
}

func repositoryOf(name string) string {
	if r, err := parseRef(name); err == nil {
		return r.name
	}
	return name
}

// drop takes a name away. With the last tag of a repository its digests go, as the
// daemon has it.
func (i *heldImage) drop(name string) {
	delete(i.names, name)
	repository, tagged := repositoryOf(name), false
	for other := range i.names {
		tagged = tagged || repositoryOf(other) == repository && !strings.Contains(other, "@")
	}
	if !tagged && !strings.Contains(name, "@") {
		maps.DeleteFunc(i.names, func(other string, _ bool) bool { return repositoryOf(other) == repository })
	}
}

func heldOf(s image.Summary) *heldImage {
	i := &heldImage{id: s.ID, parent: s.ParentID, created: s.Created, size: s.Size, names: map[string]bool{}}
	for _, name := range slices.Concat(s.RepoTags, s.RepoDigests) {
		if !strings.Contains(name, "<none>") { // as older daemons write that there is none
			i.names[name] = true
		}
	}
	return i
}

// leftBehind reports whether a container is what making another one has left, and a
// pending change removes.
func leftBehind(v *host.View, c container.Summary) bool {
	for _, suffix := range []string{newSuffix, oldSuffix} {
		if name, ok := strings.CutSuffix(nameOf(c), suffix); ok && leftOf(c.Labels, name, suffix) {
			_, laid, _, err := v.Look(host.Key{Space: containers, Name: name})
			return err == nil && laid
		}
	}
	return false
}

// imagesInUse are the IDs of the images that containers are made of, and the identities
// of those that pending changes make them of.
func imagesInUse(ctx context.Context, v *host.View) (map[string]bool, error) {
	list, err := listContainers(ctx, v)
	if err != nil {
		return nil, err
	}
	used := map[string]bool{}
	for _, c := range list {
		_, laid, _, err := v.Look(host.Key{Space: containers, Name: nameOf(c)})
		if err != nil {
			return nil, err
		}
		if !laid && !leftBehind(v, c) {
			used[c.ImageID] = true
		}
	}
	for _, name := range v.Laid(containers) {
		value, _, _, err := v.Look(host.Key{Space: containers, Name: name})
		if err != nil {
			return nil, err
		}
		var s standing
		if value == nil {
			continue
		}
		if err := host.Unmarshal(value, &s); err != nil {
			return nil, err
		}
		used[strings.TrimPrefix(s.Image, "image ")] = true
	}
	return used, nil
}

// heldImages are the images that the host has once pending changes are made. One that is
// pulled for nobody is host.ErrNotYet: how old it is can only be told once it is here.
func heldImages(ctx context.Context, v *host.View, used map[string]bool) ([]*heldImage, error) {
	list, err := listImages(ctx, v)
	if err != nil {
		return nil, err
	}
	var held []*heldImage
	for _, s := range list {
		i := heldOf(s)
		i.used = used[i.id]
		for name := range i.names {
			_, digest, ok := strings.Cut(name, "@")
			i.used = i.used || ok && used[digest]
		}
		held = append(held, i)
	}
	for _, name := range v.Laid(images) {
		key := host.Key{Space: images, Name: name}
		value, laid, _, err := v.Look(key)
		switch {
		case err != nil:
			return nil, err
		case !laid:
		case value == nil:
			held = withoutImage(held, name)
		default:
			var k kept
			if err := host.Unmarshal(value, &k); err != nil {
				return nil, err
			}
			at := slices.IndexFunc(held, func(i *heldImage) bool { return i.is(name, k) })
			if at < 0 && !used[k.Digest] {
				return nil, host.NotYet(key)
			}
			for n, i := range held {
				if n != at && !strings.Contains(name, "@") {
					delete(i.names, familiar(name)) // its digests stay
				}
			}
			if at >= 0 {
				held[at].names[familiar(name)] = true
			}
		}
	}
	return held, nil
}

// is reports whether the image is what a reference is made to stand for.
func (i *heldImage) is(name string, k kept) bool {
	r, err := parseRef(name)
	return err == nil && (k.ID != "" && i.id == k.ID || k.Digest != "" && i.names[familiar(r.at(k.Digest))])
}

// withoutImage returns the images without the one of an ID, or without a name: with its last
// one an image goes.
func withoutImage(held []*heldImage, name string) []*heldImage {
	return slices.DeleteFunc(held, func(i *heldImage) bool {
		if i.id == name {
			return true
		}
		if !i.names[familiar(name)] {
			return false
		}
		i.drop(familiar(name))
		return len(i.names) == 0
	})
}

// parentsKept returns which of the images to be removed can be: not those that one that
// stays was built on, on this host.
func parentsKept(ctx context.Context, v *host.View, held, gone []*heldImage) ([]*heldImage, error) {
	built := slices.ContainsFunc(held, func(i *heldImage) bool { return i.parent != "" })
	if len(gone) == 0 || !built {
		return gone, nil
	}
	d, err := asking(ctx, v)
	if err != nil {
		return nil, err
	}
	// Between two images that have names there are others that have none.
	all, err := host.Once(v, "docker layers of images", func() ([]image.Summary, error) {
		r, err := d.ImageList(ctx, client.ImageListOptions{All: true})
		return r.Items, err
	})
	if err != nil {
		return nil, err
	}
	parents := map[string]string{}
	for _, s := range all {
		parents[s.ID] = s.ParentID
	}
	needed := map[string]bool{}
	for _, i := range held {
		if slices.Contains(gone, i) {
			continue
		}
		for id := parents[i.id]; id != "" && !needed[id]; id = parents[id] {
			needed[id] = true
		}
	}
	gone = slices.DeleteFunc(slices.Clone(gone), func(i *heldImage) bool { return needed[i.id] })
	depth := func(i *heldImage) (n int) {
		for id := parents[i.id]; id != "" && n < len(all); id = parents[id] {
			n++
		}
		return n
	}
	slices.SortStableFunc(gone, func(a, b *heldImage) int { return depth(b) - depth(a) }) // children first
	return gone, nil
}
