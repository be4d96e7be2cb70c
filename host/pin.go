package host

import "context"

// Pinner answers what a name stands for; see View.Pin.
type Pinner func(ctx context.Context, name, mine string, resolve func(context.Context) (string, error)) (string, error)

// Pin returns what a name stands for that may stand for something else tomorrow: "the
// image app:1.4" for a digest. A run has one answer for all its hosts, and so has a saved
// plan; where hosts would have different ones nothing is made on any.
//
// mine is what it stands for on this host already, "" where it has nothing of that name.
// Then resolve is asked to find out, unless another host has. The answer is kept until
// the run ends.
func (v *View) Pin(ctx context.Context, name, mine string, resolve func(context.Context) (string, error)) (string, error) {
	switch {
	case v.h.Pins != nil:
		return v.h.Pins(ctx, name, mine, resolve)
	case mine != "":
		return mine, nil
	}
	return resolve(ctx)
}
