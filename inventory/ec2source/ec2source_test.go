package ec2source_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"

	"muster/inventory"
	"muster/inventory/ec2source"
)

// api answers DescribeInstances as the EC2 API reference documents, two
// instances a page, and keeps what it was asked.
type api struct {
	mu    sync.Mutex
	asked []string
	fail  bool
	pages [][]string // instances of each page, as XML
}

func (a *api) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := r.ParseForm(); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	_, credential, _ := strings.Cut(r.Header.Get("Authorization"), "Credential=AKIDEXAMPLE/")
	region := strings.Split(credential+"///", "/")[1]
	a.asked = append(a.asked, fmt.Sprint(region, " ", r.Form.Encode()))
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	if a.fail {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><Response><Errors><Error><Code>UnauthorizedOperation</Code><Message>You are not authorized to perform this operation.</Message></Error></Errors><RequestID>r-1</RequestID></Response>`)
		return
	}
	page := 0
	if token := r.Form.Get("NextToken"); token != "" {
		if _, err := fmt.Sscanf(token, "page%d", &page); err != nil {
			http.Error(w, "token", http.StatusBadRequest)
			return
		}
	}
	next := ""
	if page+1 < len(a.pages) {
		next = fmt.Sprintf("<nextToken>page%d</nextToken>", page+1)
	}
	fmt.Fprintf(w, `<?xml version="1.0" encoding="UTF-8"?>
<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r-1</requestId><reservationSet>`)
	for i, instance := range a.pages[page] {
		fmt.Fprintf(w, `<item><reservationId>r-%d%d</reservationId><ownerId>123456789012</ownerId><groupSet/><instancesSet>%s</instancesSet></item>`, page, i, instance)
	}
	fmt.Fprintf(w, `</reservationSet>%s</DescribeInstancesResponse>`, next)
}

// instance is one as XML; tags are pairs.
func instance(id, private, public string, tags ...string) string {
	var s strings.Builder
	fmt.Fprintf(&s, `<item><instanceId>%s</instanceId><imageId>ami-1</imageId><instanceState><code>16</code><name>running</name></instanceState><privateDnsName>%s.internal</privateDnsName><instanceType>t3.micro</instanceType><placement><availabilityZone>eu-central-1a</availabilityZone></placement><vpcId>vpc-1</vpcId>`, id, id)
	if private != "" {
		fmt.Fprintf(&s, "<privateIpAddress>%s</privateIpAddress>", private)
	}
	if public != "" {
		fmt.Fprintf(&s, "<ipAddress>%s</ipAddress>", public)
	}
	s.WriteString("<tagSet>")
	for i := 0; i+1 < len(tags); i += 2 {
		fmt.Fprintf(&s, "<item><key>%s</key><value>%s</value></item>", tags[i], tags[i+1])
	}
	s.WriteString("</tagSet></item>")
	return s.String()
}

// load loads an inventory whose source asks a.
func load(t *testing.T, a *api, cache, body string) (*inventory.Inventory, string) {
	t.Helper()
	for name, value := range map[string]string{
		"AWS_ACCESS_KEY_ID": "AKIDEXAMPLE", "AWS_SECRET_ACCESS_KEY": "secret", "AWS_REGION": "eu-west-1", "AWS_PROFILE": "",
		"AWS_SESSION_TOKEN": "", "AWS_EC2_METADATA_DISABLED": "true", "AWS_MAX_ATTEMPTS": "1",
		"AWS_CONFIG_FILE": "/nonexistent", "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
	} {
		t.Setenv(name, value)
	}
	server := httptest.NewServer(a)
	t.Cleanup(server.Close)
	path := filepath.Join(cache, "i.hcl")
	if err := os.WriteFile(path, []byte(strings.ReplaceAll(body, "ENDPOINT", fmt.Sprintf("endpoint = %q", server.URL))), 0o600); err != nil {
		t.Fatal(err)
	}
	inv, diags := inventory.Load(t.Context(), path, inventory.Options{
		Sources: map[string]inventory.Source{"ec2": ec2source.Source{}}, CacheDir: filepath.Join(cache, "kept"),
	})
	var said []string
	for _, d := range diags {
		said = append(said, d.Summary+": "+d.Detail)
	}
	return inv, strings.Join(said, "\n")
}

func hosts(inv *inventory.Inventory) []string {
	var list []string
	for _, h := range inv.Hosts() {
		list = append(list, fmt.Sprintf("%s=%s %v", h.Name, h.Address, h.Groups))
	}
	return list
}

func TestEveryPageOfEveryRegionIsListed(t *testing.T) {
	a := &api{pages: [][]string{
		{instance("i-1", "10.0.0.1", "", "Role", "app", "Name", "one"), instance("i-2", "10.0.0.2", "", "Role", "load balancer")},
		{instance("i-3", "10.0.0.3", "198.51.100.3", "Role", "app", "Team", "app")},
		{instance("i-4", "10.0.0.4", "", "Role", "all")},
	}}
	inv, said := load(t, a, t.TempDir(), `
		group "app" { vars = { tier = 2 } }
		source "ec2" "prod" {
			ENDPOINT
			regions       = ["eu-central-1"]
			filters       = { "tag:Env" = ["prod", "stage"] }
			group_by_tags = ["Role", "Team"]
			user          = "admin"
		}`)
	if said != "" {
		t.Fatal(said)
	}
	want := []string{"i-1=10.0.0.1 [app]", "i-2=10.0.0.2 [load_balancer]", "i-3=10.0.0.3 [app]", "i-4=10.0.0.4 [Role_all]"}
	if d := cmp.Diff(want, hosts(inv)); d != "" {
		t.Error(d)
	}
	h, _ := inv.Host("i-1")
	described := h.Vars["ec2"]
	if h.Target().User != "admin" || described.GetAttr("zone").AsString() != "eu-central-1a" ||
		described.GetAttr("tags").GetAttr("Name").AsString() != "one" || described.GetAttr("region").AsString() != "eu-central-1" {
		t.Errorf("user %q, vars %#v", h.Target().User, h.Vars)
	}
	if _, ok := h.Vars["tier"]; !ok {
		t.Error("the file's variables of a group that the source fills are missing")
	}
	asked := "eu-central-1 Action=DescribeInstances&Filter.1.Name=instance-state-name&Filter.1.Value.1=running&Filter.2.Name=tag%3AEnv&Filter.2.Value.1=prod&Filter.2.Value.2=stage&MaxResults=1000"
	if d := cmp.Diff([]string{asked + "&Version=2016-11-15", asked + "&NextToken=page1&Version=2016-11-15", asked + "&NextToken=page2&Version=2016-11-15"}, a.asked); d != "" {
		t.Error(d)
	}
}

func TestArgumentsChooseNameAndAddress(t *testing.T) {
	a := &api{pages: [][]string{{
		instance("i-1", "10.0.0.1", "198.51.100.1", "Name", "web"),
		instance("i-2", "10.0.0.2", ""),
		instance("i-3", "10.0.0.3", "198.51.100.3"),
	}}}
	inv, said := load(t, a, t.TempDir(), `source "ec2" "x" {
		ENDPOINT
		name    = "tag:Name"
		address = "public"
		filters = { "instance-state-name" = ["stopped"] }
	}`)
	if !strings.Contains(said, "The instance i-2 has no public address, and is left out.") {
		t.Errorf("said %q", said)
	}
	if d := cmp.Diff([]string{"web=198.51.100.1 []", "i-3=198.51.100.3 []"}, hosts(inv)); d != "" {
		t.Error(d)
	}
	if !strings.HasPrefix(a.asked[0], "eu-west-1 ") || !strings.Contains(a.asked[0], "Value.1=stopped") || strings.Contains(a.asked[0], "running") {
		t.Errorf("asked %q", a.asked[0])
	}
}

func TestTwoInstancesOfOneNameAreAnError(t *testing.T) {
	a := &api{pages: [][]string{{instance("i-1", "10.0.0.1", "", "Name", "web"), instance("i-2", "10.0.0.2", "", "Name", "web")}}}
	_, said := load(t, a, t.TempDir(), `source "ec2" "x" {
		ENDPOINT
		name = "tag:Name"
	}`)
	if !strings.Contains(said, `the instances i-1 and i-2 are both named "web" by tag:Name; use name = "instance_id"`) {
		t.Errorf("said %q", said)
	}
}

func TestWrongArgumentsAreSaidWithoutAsking(t *testing.T) {
	a := &api{}
	_, said := load(t, a, t.TempDir(), `source "ec2" "x" {
		ENDPOINT
		name    = "Name"
		address = "elastic"
	}`)
	if !strings.Contains(said, `There is no name "Name"`) || !strings.Contains(said, `"elastic"`) || len(a.asked) > 0 {
		t.Errorf("said %q, asked %q", said, a.asked)
	}
}

func TestAnApiThatRefusesFailsOrLeavesTheLastAnswer(t *testing.T) {
	a := &api{pages: [][]string{{instance("i-1", "10.0.0.1", "")}}}
	cache := t.TempDir()
	// The endpoint is part of the source's content, so one server serves all.
	server := httptest.NewServer(a)
	defer server.Close()
	body := fmt.Sprintf("source \"ec2\" \"x\" {\n endpoint = %q\n}", server.URL)
	a.fail = true
	if _, said := load(t, a, cache, body); !strings.Contains(said, "UnauthorizedOperation") || !strings.Contains(said, "There is no earlier answer to use.") {
		t.Errorf("without an answer: said %q", said)
	}
	a.fail = false
	if _, said := load(t, a, cache, body); said != "" {
		t.Error(said)
	}
	a.fail = true
	inv, said := load(t, a, cache, body)
	if !strings.Contains(said, "Source is down") || !strings.Contains(said, "UnauthorizedOperation") || len(inv.Hosts()) != 1 {
		t.Errorf("with an answer: said %q, hosts %v", said, hosts(inv))
	}
}

func TestWhatOneAccountListedIsNotKeptForAnother(t *testing.T) {
	for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_PROFILE", "AWS_REGION", "AWS_CONFIG_FILE"} {
		t.Run(name, func(t *testing.T) {
			a := &api{pages: [][]string{{instance("i-1", "10.0.0.1", "")}}}
			server := httptest.NewServer(a)
			defer server.Close()
			dir := t.TempDir()
			if _, said := load(t, a, dir, fmt.Sprintf("source \"ec2\" \"x\" {\n endpoint = %q\n cache = \"1h\"\n}", server.URL)); said != "" {
				t.Fatal(said)
			}
			a.fail = true
			again := func() hcl.Diagnostics {
				_, diags := inventory.Load(t.Context(), filepath.Join(dir, "i.hcl"), inventory.Options{
					Sources: map[string]inventory.Source{"ec2": ec2source.Source{}}, CacheDir: filepath.Join(dir, "kept"),
				})
				return diags
			}
			if diags := again(); diags.HasErrors() {
				t.Errorf("the answer is not kept: %v", diags)
			}
			t.Setenv(name, "other")
			if diags := again(); !diags.HasErrors() {
				t.Errorf("with another %s the answer is used", name)
			}
		})
	}
}
