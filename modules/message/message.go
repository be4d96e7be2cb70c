// Package message has the kinds that say something about a run, and touch no host.
package message

import (
	"context"
	"encoding/json"
	"errors"

	"muster/host"
	"muster/modules"
)

// Kinds returns the kinds of this package.
func Kinds() []modules.Kind {
	return []modules.Kind{
		{Name: "assert", NoPrograms: true, New: func() modules.Module { return &Assert{} }},
		{Name: "print", NoPrograms: true, Output: Printed{}, New: func() modules.Module { return &Print{} }},
	}
}

// Assert is a condition that has to hold for the host to go on.
//
// It is decided as soon as what it reads is known: mostly while planning, before
// anything is changed. Where it doesn't hold, the host fails with the message.
type Assert struct {
	// What has to hold.
	Condition bool `arg:"condition,required"`
	// What is said where it doesn't: what is wrong, and what to do about it.
	Message string `arg:"message"`
}

// Plan fails where the condition doesn't hold.
func (a *Assert) Plan(context.Context, *host.View) (modules.Plan, error) {
	switch {
	case a.Condition:
		return modules.Plan{}, nil
	case a.Message != "":
		return modules.Plan{}, errors.New(a.Message)
	}
	return modules.Plan{}, errors.New("the condition doesn't hold")
}

// May is nothing, whatever the condition reads.
func (*Assert) May() []host.Effect { return []host.Effect{} }

// Print is a message that is shown each time.
//
// It is shown when it is planned, once for all hosts that say the same, and
// where it reads what is known only after apply, at its turn. It is no change.
type Print struct {
	// What is shown. Nothing sensitive is.
	Message string `arg:"message,required,empty"`
}

// May is nothing, whatever the message reads.
func (*Print) May() []host.Effect { return []host.Effect{} }

// Printed is what print offers as its output.
type Printed struct {
	// What was shown.
	Message string `json:"message"`
}

// Plan has the message as its output.
func (p *Print) Plan(context.Context, *host.View) (modules.Plan, error) {
	out, err := json.Marshal(Printed{Message: p.Message})
	return modules.Plan{Output: out}, err
}
