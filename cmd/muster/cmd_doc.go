package main

import (
	"encoding/json"
	"fmt"

	"github.com/spf13/cobra"

	"muster/internal/doc"
	"muster/modules"
)

func newDoc(a *app) *cobra.Command {
	return &cobra.Command{
		Use:   "doc [KIND]",
		Short: "Show the kinds of tasks, or the arguments of one",
		Args:  cobra.MaximumNArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			reg := a.registry()
			if len(args) == 0 {
				if a.output == "json" {
					return json.NewEncoder(a.out).Encode(doc.All(reg))
				}
				fmt.Fprint(a.out, doc.List(reg))
				return nil
			}
			if reg.Kind(args[0]) == nil {
				var names []string
				for _, k := range reg.Kinds() {
					names = append(names, k.Name)
				}
				if near := modules.Nearest(args[0], names); near != "" {
					return fmt.Errorf("there is no kind %q: did you mean %q?", args[0], near)
				}
				return fmt.Errorf("there is no kind %q: \"muster doc\" lists them", args[0])
			}
			if a.output == "json" {
				return json.NewEncoder(a.out).Encode(doc.Of(reg, args[0]))
			}
			fmt.Fprint(a.out, doc.Text(reg, args[0]))
			return nil
		},
	}
}
