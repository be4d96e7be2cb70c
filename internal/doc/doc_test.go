package doc

import (
	"context"
	"strings"
	"testing"

	"muster/host"
	"muster/modules"
)

type port struct {
	Number int `arg:"number"`
}

type site struct {
	Ports []port         `arg:"ports"`
	Main  *port          `arg:"main"`
	Inner map[string]sub `arg:"inner"`
}

type sub struct {
	Port port   `arg:"port"`
	Name string `arg:"name"`
}

func (*site) Plan(context.Context, *host.View) (modules.Plan, error) { return modules.Plan{}, nil }

func TestAttributesAreToldOnce(t *testing.T) {
	r := modules.NewRegistry(modules.Kind{Name: "site", New: func() modules.Module { return &site{} }})
	got := Text(r, "site")
	want := `  ports (list of objects)
      number (number)
  main (object)
      Its attributes are those of ports.
  inner (map of objects)
      port (object)
          Its attributes are those of ports.
      name (string)
`
	if !strings.Contains(got, want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	if k := Of(r, "site"); len(k.Args[1].Args) != 1 {
		t.Errorf("as data, attributes stand at each: %+v", k.Args[1])
	}
}
