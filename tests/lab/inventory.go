package lab

import (
	"fmt"
	"slices"
	"strings"
)

// Addresses that every lab has.
const (
	WorkstationAddress = "203.0.113.2"  // on pub
	BastionAddress     = "203.0.113.10" // the bastion on pub
	Bastion            = "nat"          // the bastion's name; it is in every lab

	bastionInside = "10.0.1.1"   // the bastion on priv
	cacheAddress  = "10.0.1.254" // the package cache, on the switch
	cachePort     = "3142"       // what Debian's own caches use
)

// AsksPassword is the password of the user asks.
const AsksPassword = "lab-password"

// spec is one host that a lab can have.
type spec struct {
	name    string
	address string // on priv
}

// specs lists the hosts, the bastion first.
func specs() []spec {
	return []spec{
		{Bastion, bastionInside},
		{"lb1", "10.0.1.11"},
		{"app1", "10.0.1.21"},
		{"app2", "10.0.1.22"},
		{"db1", "10.0.1.31"},
		{"db2", "10.0.1.32"},
		{"db3", "10.0.1.33"},
		{"cache1", "10.0.1.41"},
		{"log1", "10.0.1.51"},
	}
}

// AllHosts returns the names of the hosts a lab can have, the bastion first.
func AllHosts() []string {
	var names []string
	for _, s := range specs() {
		names = append(names, s.name)
	}
	return names
}

// find returns the specification of the host name.
func find(name string) (spec, error) {
	for _, s := range specs() {
		if s.name == name {
			return s, nil
		}
	}
	return spec{}, fmt.Errorf("no host %q: a lab has %s", name, strings.Join(AllHosts(), ", "))
}

// reach is the address at which the workstation knows the host: the bastion's
// public one, else the private one.
func (s spec) reach() string {
	if s.name == Bastion {
		return BastionAddress
	}
	return s.address
}

// choose returns the specifications of names and of the bastion, in the lab's
// order, each once. No names means all.
func choose(names []string) ([]spec, error) {
	if len(names) == 0 {
		return specs(), nil
	}
	for _, n := range names {
		if _, err := find(n); err != nil {
			return nil, err
		}
	}
	var chosen []spec
	for _, s := range specs() {
		if s.name == Bastion || slices.Contains(names, s.name) {
			chosen = append(chosen, s)
		}
	}
	return chosen, nil
}

// etcHosts is the content of /etc/hosts on the host self: there is no DNS.
func etcHosts(self spec) string {
	var b strings.Builder
	b.WriteString("127.0.0.1 localhost\n::1 localhost ip6-localhost ip6-loopback\n")
	if self.name != "" {
		// Where a name has two lines, the first is its address: not the loopback,
		// since daemons announce the address of their own name to others.
		fmt.Fprintf(&b, "%s %s\n", self.address, self.name)
	}
	for _, s := range specs() {
		if s.name != self.name {
			fmt.Fprintf(&b, "%s %s\n", s.address, s.name)
		}
	}
	fmt.Fprintf(&b, "%s workstation\n", WorkstationAddress)
	return b.String()
}
