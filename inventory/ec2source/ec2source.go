// Package ec2source lists the instances of an AWS account as hosts.
//
//	source "ec2" "prod" {
//	  regions       = ["eu-central-1"]          # default: that of the AWS configuration
//	  profile       = "prod"                    # of ~/.aws/config; default: AWS_PROFILE
//	  filters       = { "tag:Env" = ["prod"] }  # DescribeInstances' filters; running instances alone, unless one says otherwise
//	  group_by_tags = ["Role"]                  # an instance with Role = "app" is in the group "app"
//	  name          = "tag:Name"                # default: "instance_id"; or "private_dns"
//	  address       = "private"                 # or "public", "private_dns", "public_dns"
//	  endpoint      = "http://localhost:4566"   # default: AWS's
//	  cache         = "5m"
//	}
//
// Credentials are found as the AWS command line finds them. Each host has the
// variable ec2: an object of instance_id, instance_type, image_id, region,
// zone, vpc_id, subnet_id, private_ip, public_ip, private_dns, public_dns and
// tags.
//
// It stands apart from package inventory so that only what lists instances
// links the AWS SDK. It was proven against a server that answers as the EC2
// API reference documents, and against no real account.
package ec2source

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
	"github.com/zclconf/go-cty/cty"

	"muster/inventory"
)

// Source is the source type "ec2", for inventory.Options.Sources.
type Source struct{}

// Arguments implements inventory.Source.
func (Source) Arguments() []inventory.Argument {
	return []inventory.Argument{
		{Name: "regions", Type: cty.List(cty.String)},
		{Name: "profile", Type: cty.String},
		{Name: "filters", Type: cty.Map(cty.List(cty.String))},
		{Name: "group_by_tags", Type: cty.List(cty.String)},
		{Name: "name", Type: cty.String},
		{Name: "address", Type: cty.String},
		{Name: "endpoint", Type: cty.String},
	}
}

// Remote implements inventory.Source.
func (Source) Remote() bool { return true }

// Open implements inventory.Source.
func (Source) Open(b inventory.Block) (inventory.Lister, error) {
	l := &lister{
		regions:  b.Texts("regions"),
		profile:  b.Text("profile"),
		endpoint: b.Text("endpoint"),
		tags:     b.Texts("group_by_tags"),
		name:     b.Text("name"),
		address:  b.Text("address"),
		filters:  filters(b.Args["filters"]),
	}
	if l.name == "" {
		l.name = "instance_id"
	}
	if l.address == "" {
		l.address = "private"
	}
	var problems []error
	if tag, isTag := strings.CutPrefix(l.name, "tag:"); l.name != "instance_id" && l.name != "private_dns" && (!isTag || tag == "") {
		problems = append(problems, &inventory.ArgumentError{Name: "name", Err: fmt.Errorf("there is no name %q: it is \"instance_id\", \"private_dns\" or \"tag:\" and the name of a tag", l.name)})
	}
	if !slices.Contains([]string{"private", "public", "private_dns", "public_dns"}, l.address) {
		problems = append(problems, &inventory.ArgumentError{Name: "address", Err: fmt.Errorf("there is no address %q: it is \"private\", \"public\", \"private_dns\" or \"public_dns\"", l.address)})
	}
	return l, errors.Join(problems...)
}

// filters turns the argument into the API's filters, sorted by name. Running
// instances alone are listed unless a filter names other states.
func filters(v cty.Value) []types.Filter {
	var list []types.Filter
	states := false
	if v != cty.NilVal {
		for name, values := range v.AsValueMap() { // sorted below
			f := types.Filter{Name: aws.String(name)}
			for _, value := range values.AsValueSlice() {
				f.Values = append(f.Values, value.AsString())
			}
			states = states || name == "instance-state-name" || name == "instance-state-code"
			list = append(list, f)
		}
	}
	if !states {
		list = append(list, types.Filter{Name: aws.String("instance-state-name"), Values: []string{"running"}})
	}
	slices.SortFunc(list, func(a, b types.Filter) int { return strings.Compare(*a.Name, *b.Name) })
	return list
}

type lister struct {
	regions  []string
	profile  string
	endpoint string
	filters  []types.Filter
	tags     []string
	name     string
	address  string
}

// account is what in the environment says which account is asked, and where.
// Of keys, the public half tells them apart.
var account = []string{
	"AWS_ACCESS_KEY_ID", "AWS_CONFIG_FILE", "AWS_DEFAULT_PROFILE", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL",
	"AWS_ENDPOINT_URL_EC2", "AWS_PROFILE", "AWS_REGION", "AWS_ROLE_ARN", "AWS_SHARED_CREDENTIALS_FILE",
}

// Key implements inventory.Keyed: hosts of one account must never be taken for
// those of another.
func (l *lister) Key() string {
	var key strings.Builder
	for _, name := range account {
		fmt.Fprintf(&key, "%s=%q\n", name, os.Getenv(name))
	}
	return key.String()
}

// List asks every region in turn. One that fails fails the listing: half a
// fleet is no fleet.
func (l *lister) List(ctx context.Context) (*inventory.Listing, error) {
	regions := l.regions
	if len(regions) == 0 {
		regions = []string{""}
	}
	g := gatherer{lister: l, groups: map[string]int{}, ids: map[string]string{}}
	for _, region := range regions {
		if err := l.region(ctx, region, &g); err != nil {
			return nil, err
		}
	}
	if err := errors.Join(g.problems...); err != nil {
		return nil, err
	}
	return &g.listing, nil
}

func (l *lister) region(ctx context.Context, region string, g *gatherer) error {
	var options []func(*config.LoadOptions) error
	if region != "" {
		options = append(options, config.WithRegion(region))
	}
	if l.profile != "" {
		options = append(options, config.WithSharedConfigProfile(l.profile))
	}
	cfg, err := config.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return fmt.Errorf("reading the AWS configuration: %w", err)
	}
	if cfg.Region == "" {
		return errors.New("no region is known: name one in regions, or set AWS_REGION")
	}
	client := ec2.NewFromConfig(cfg, func(o *ec2.Options) {
		if l.endpoint != "" {
			o.BaseEndpoint = aws.String(l.endpoint)
		}
	})
	pages := ec2.NewDescribeInstancesPaginator(client, &ec2.DescribeInstancesInput{
		Filters:    l.filters,
		MaxResults: aws.Int32(1000), // the most that the API takes
	})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return fmt.Errorf("listing the instances of %s: %w", cfg.Region, err)
		}
		for _, r := range page.Reservations {
			for _, i := range r.Instances {
				g.add(cfg.Region, i)
			}
		}
	}
	return nil
}
