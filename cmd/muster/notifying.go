package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"muster/internal/notify"
)

// notifyValues are where notify blocks get what isn't in them. The store is opened when
// the first secret of it is read.
func (a *app) notifyValues(l *loaded) notify.Values {
	return notify.Values{Dir: l.project.Dir, Env: os.LookupEnv, Secret: func(name string) (string, error) {
		if l.secrets == nil {
			s, diags := a.secrets(l.project, l.sources)
			if diags.HasErrors() {
				return "", errors.New("the store can't be read")
			}
			l.secrets = s
		}
		if l.secrets == nil {
			return "", errors.New("the project has no store")
		}
		v, err := l.secrets.Versions("", name)
		if err != nil {
			return "", err
		}
		return v.Valid[v.Use].Reveal(), nil
	}}
}

// notify tells receivers what has changed. What goes wrong is shown, and changes nothing
// of what the check came to.
func (d *drifting) notify(ctx context.Context, ended error) {
	a := d.app
	if !a.scheduled && !a.notify || d.loaded == nil || ctx.Err() != nil {
		return
	}
	if len(d.loaded.notify) == 0 {
		if a.notify {
			a.view().Warn("nobody is told: muster.hcl has no notify block")
		}
		return
	}
	dir := filepath.Dir(d.loaded.project.Journal())
	err := notForGit(dir)
	var ledger *notify.Ledger
	if err == nil {
		ledger, err = notify.OpenLedger(dir)
	}
	if errors.Is(err, notify.ErrForgotten) {
		a.view().Warn(err.Error())
		err = nil
	}
	if err != nil {
		text := "nobody is told of this check: what was told before can't be read: " + err.Error()
		a.says(text)
		a.view().Warn(text)
		return
	}
	defer ledger.Close()
	d.tell(ctx, ledger, d.failure(ended))
	if err := ledger.Save(); err != nil {
		text := "what was told isn't kept, so it will be told again: " + err.Error()
		a.says(text)
		a.view().Warn(text)
	}
}

// failure is why a check couldn't be made or kept; "" where it was, whatever it found.
func (d *drifting) failure(ended error) string {
	var code exitError
	switch {
	case d.err != nil:
		return d.err.Error()
	case ended == nil || errors.As(ended, &code) && code != exitUsage:
		return ""
	case errors.Is(ended, errShown), errors.As(ended, &code):
		return "the project or a playbook is wrong, so that no host was asked; \"muster drift\" shows what is"
	}
	return ended.Error()
}

// owed is a message that a receiver is to have, and what it knows then.
type owed struct {
	*notify.Receiver
	message *notify.Message
	next    notify.Told
}

// tell sends each receiver what it doesn't know, all at once.
func (d *drifting) tell(ctx context.Context, ledger *notify.Ledger, failed string) {
	a, inventory := d.app, d.loaded.project.Rel(d.loaded.path)
	names := map[string]bool{}
	values := a.notifyValues(d.loaded)
	var list []owed
	for _, b := range d.loaded.notify {
		names[b.Full()] = true
		changes, next := ledger.Told(b.Full(), inventory).Since(&d.check, failed)
		if len(changes) == 0 {
			ledger.Keep(b.Full(), inventory, next)
			continue
		}
		r, err := b.Open(values)
		if err != nil {
			a.notTold(b, err)
			continue
		}
		list = append(list, owed{r, d.message(notify.NewMessage(b.Full(), changes, len(next.Drift))), next})
	}
	ledger.Only(names)
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, o := range list {
		all.Go(func() {
			err := notify.Delivery{}.Send(ctx, o.Receiver, o.message)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				a.notTold(o.Block, err)
				return
			}
			ledger.Keep(o.Full(), inventory, o.next)
		})
	}
	all.Wait()
}

func (a *app) notTold(b *notify.Block, err error) {
	text := fmt.Sprintf("%s wasn't told: %s; what it is owed is sent with the next check that notifies", b.Full(), err)
	a.says(text)
	a.view().Warn(text)
}

// message says of which check a message is, and takes every secret out of it that the
// run knows.
func (d *drifting) message(m *notify.Message) *notify.Message {
	m.Project, m.By, m.Check, m.At = filepath.Base(d.loaded.project.Dir), whoami(), d.check.ID, time.Now()
	m.Redact(func(text string) string {
		for _, p := range d.plans {
			text = p.redact.Redact(text)
		}
		return text
	})
	return m
}
