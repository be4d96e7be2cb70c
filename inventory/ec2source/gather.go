package ec2source

import (
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/zclconf/go-cty/cty"

	"muster/inventory"
)

// gatherer turns instances into a listing.
type gatherer struct {
	*lister
	listing  inventory.Listing
	groups   map[string]int    // places in the listing
	ids      map[string]string // of the instances, by the names of their hosts
	problems []error
}

func (g *gatherer) add(region string, i types.Instance) {
	id, tags := aws.ToString(i.InstanceId), map[string]string{}
	for _, t := range i.Tags {
		tags[aws.ToString(t.Key)] = aws.ToString(t.Value)
	}
	name := g.hostName(i, tags)
	if first, taken := g.ids[name]; taken {
		g.problems = append(g.problems, fmt.Errorf("the instances %s and %s are both named %q by %s; use name = \"instance_id\", or a tag that is unique", first, id, name, g.name))
		return
	}
	g.ids[name] = id
	address := aws.ToString(map[string]*string{
		"private": i.PrivateIpAddress, "public": i.PublicIpAddress,
		"private_dns": i.PrivateDnsName, "public_dns": i.PublicDnsName,
	}[g.address])
	if address == "" {
		g.listing.Warnings = append(g.listing.Warnings, inventory.FileError{Err: fmt.Errorf("the instance %s has no %s address, and is left out", id, g.address)})
		return
	}
	g.listing.Hosts = append(g.listing.Hosts, inventory.Entry{
		Name:     name,
		Settings: []inventory.Value{{Name: "address", Value: cty.StringVal(address)}},
		Vars:     []inventory.Value{{Name: "ec2", Value: describe(region, i, tags)}},
	})
	for _, tag := range g.tags {
		if value := tags[tag]; value != "" {
			g.join(groupName(tag, value), name)
		}
	}
}

// hostName names the host of an instance; one without the tag has its ID.
func (g *gatherer) hostName(i types.Instance, tags map[string]string) string {
	name := ""
	switch tag, isTag := strings.CutPrefix(g.name, "tag:"); {
	case isTag:
		name = tags[tag]
	case g.name == "private_dns":
		name = aws.ToString(i.PrivateDnsName)
	}
	if name == "" {
		name = aws.ToString(i.InstanceId)
	}
	return name
}

func (g *gatherer) join(group, host string) {
	at, known := g.groups[group]
	if !known {
		at = len(g.listing.Groups)
		g.groups[group] = at
		g.listing.Groups = append(g.listing.Groups, inventory.GroupEntry{Name: group})
	}
	hosts := &g.listing.Groups[at].Hosts
	if n := len(*hosts); n == 0 || (*hosts)[n-1] != host { // two tags may have one value
		*hosts = append(*hosts, host)
	}
}

// groupName turns the value of a tag into the name of a group: what a name
// can't hold is "_", and "all" stays free for every host.
func groupName(tag, value string) string {
	if value == inventory.All {
		value = tag + "_" + value
	}
	name := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("._-", r) {
			return r
		}
		return '_'
	}, value)
	if name[0] == '-' || name[0] == '.' {
		name = "_" + name
	}
	return name
}

// describe is the variable ec2 of a host.
func describe(region string, i types.Instance, tags map[string]string) cty.Value {
	text := func(s *string) cty.Value { return cty.StringVal(aws.ToString(s)) }
	zone := cty.StringVal("")
	if i.Placement != nil {
		zone = text(i.Placement.AvailabilityZone)
	}
	tagged := make(map[string]cty.Value, len(tags))
	for k, v := range tags {
		tagged[k] = cty.StringVal(v)
	}
	return cty.ObjectVal(map[string]cty.Value{
		"instance_id":   text(i.InstanceId),
		"instance_type": cty.StringVal(string(i.InstanceType)),
		"image_id":      text(i.ImageId),
		"region":        cty.StringVal(region),
		"zone":          zone,
		"vpc_id":        text(i.VpcId),
		"subnet_id":     text(i.SubnetId),
		"private_ip":    text(i.PrivateIpAddress),
		"public_ip":     text(i.PublicIpAddress),
		"private_dns":   text(i.PrivateDnsName),
		"public_dns":    text(i.PublicDnsName),
		"tags":          cty.ObjectVal(tagged),
	})
}
