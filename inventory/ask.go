package inventory

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/hcl/v2"
)

// ask asks every source, all at the same time, and adds what they list to the
// declarations, in the order of the blocks.
func (d *declarations) ask(ctx context.Context, o Options) hcl.Diagnostics {
	store := cache{dir: o.CacheDir}
	if store.dir == "" {
		if base, err := os.UserCacheDir(); err == nil {
			store.dir = filepath.Join(base, "muster", "inventory")
		}
	}
	type answer struct {
		listing *Listing
		diags   hcl.Diagnostics
	}
	answers := make([]answer, len(d.sources))
	var wg sync.WaitGroup
	for i, s := range d.sources {
		wg.Go(func() {
			listing, diags := s.ask(ctx, store)
			answers[i] = answer{listing, diags}
		})
	}
	wg.Wait()
	var diags hcl.Diagnostics
	for i, s := range d.sources {
		diags = append(diags, answers[i].diags...)
		if answers[i].listing != nil {
			diags = append(diags, d.merge(s, answers[i].listing)...)
		}
	}
	return diags
}

// ask asks one source. What was listed less than fresh ago is used without
// asking; where a remote source fails, what it listed last is used with a
// warning that says how old it is. Nothing is ever taken for an empty fleet.
func (s *sourceNode) ask(ctx context.Context, store cache) (*Listing, hcl.Diagnostics) {
	if !s.remote {
		listing, err := s.lister.List(ctx)
		if err != nil {
			return nil, s.failed(err, "")
		}
		return listing, s.notes(listing)
	}
	kept, at, keptErr := store.get(s)
	if age := time.Since(at); keptErr == nil && s.fresh > 0 && age >= 0 && age < s.fresh {
		return kept, s.notes(kept)
	}
	limited, cancel := context.WithTimeoutCause(ctx, s.timeout, fmt.Errorf("no answer within %s", s.timeout))
	defer cancel()
	listing, err := s.lister.List(limited)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = context.Cause(limited)
	}
	switch {
	case err == nil:
		notes := s.notes(listing)
		if len(listing.Hosts) > 0 {
			if err := store.put(s, listing); err != nil {
				notes = notes.Append(warning(s.at, "Listing not kept", fmt.Sprintf("The source works, but its answer could not be kept for when it doesn't: %s.", err)))
			}
		}
		return listing, notes
	case ctx.Err() != nil:
		return nil, s.failed(context.Cause(ctx), "")
	case keptErr == nil:
		age := time.Since(at).Round(time.Second)
		return kept, append(s.notes(kept), warning(s.at, "Source is down", fmt.Sprintf("%s. Its answer of %s ago (%s) is used; hosts may have come or gone since.", capital(sentence(err)), age, at.Local().Format("2006-01-02 15:04:05"))))
	case errors.Is(keptErr, errNone):
		return nil, s.failed(err, " There is no earlier answer to use.")
	default:
		return nil, s.failed(err, fmt.Sprintf(" Nor can its earlier answer be used: %s.", keptErr))
	}
}

// failed reports the errors of a source.
func (s *sourceNode) failed(err error, more string) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, e := range unjoin(err) {
		at := s.at
		var placed *FileError
		if errors.As(e, &placed) {
			at, e = placed.At, placed.Err
		}
		diags = diags.Append(problem(at, "Source failed", fmt.Sprintf("The %s can't be read: %s.%s", s.where, sentence(e), more)))
	}
	return diags
}

// sentence is an error's text without the full stop that others' messages end
// in.
func sentence(err error) string { return strings.TrimSuffix(err.Error(), ".") }

// notes reports what a listing warns of, and a listing without hosts.
func (s *sourceNode) notes(l *Listing) hcl.Diagnostics {
	var diags hcl.Diagnostics
	for _, w := range l.Warnings {
		at := w.At
		if at.Filename == "" {
			at = s.at
		}
		diags = diags.Append(warning(at, "Left out of a source", capital(w.Err.Error())+"."))
	}
	if len(l.Hosts) == 0 {
		diags = diags.Append(warning(s.at, "Source lists no host", fmt.Sprintf("The %s answered, with no host at all.", s.where)))
	}
	return diags
}
