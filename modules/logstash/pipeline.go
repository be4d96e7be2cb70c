package logstash

import (
	"context"
	"fmt"
	"strconv"

	"muster/host"
	"muster/modules"
)

// Pipeline is a pipeline of Logstash: its text, and that it runs. Logstash has to be
// installed by an earlier task.
//
// Its text is tested by Logstash's own program while planning, with all other pipelines and
// settings, as a whole that is staged elsewhere. Muster besides finds variables without a
// value, and two inputs on one port, which that test doesn't. Then the text takes its place,
// and Logstash reloads what has changed: other pipelines go on running. Its node is asked
// whether every pipeline runs and none failed to reload. Where one did, what stood there
// before is put back and reloaded, and the task fails.
type Pipeline struct {
	// The pipeline's name: letters, digits, "_" and "-".
	ID string `arg:"id,key,required"`
	// Its text. In a playbook "$${NAME}" and "%%{field}" stand for Logstash's own.
	Content *host.Content `arg:"content"`
	// A file of the project that has its text, copied as it is.
	Source *host.Content `arg:"source,file"`
	// How many threads filter and send.
	Workers *int `arg:"workers" means:"as it is; the setting pipeline.workers, which is the number of processors"`
	// Where its events wait: in "memory", or "persisted" on disk, where they outlive a restart.
	Queue string `arg:"queue" oneof:"memory persisted" means:"as it is; the setting queue.type, which is memory"`
	// "absent" takes it out, with its text.
	State string `arg:"state" oneof:"present absent" default:"present"`
}

// Check refuses what can't be a pipeline.
func (p *Pipeline) Check(unknown func(string) bool) (errs []modules.ArgError) {
	fail := func(arg, summary, detail string, args ...any) {
		if !unknown(arg) {
			errs = append(errs, modules.ArgError{Arg: arg, Summary: summary, Detail: fmt.Sprintf(detail, args...)})
		}
	}
	if !idText.MatchString(p.ID) {
		fail("id", "Wrong value", "%q is no pipeline's name: it has letters, digits, \"_\" and \"-\".", p.ID)
	}
	if p.Workers != nil && (*p.Workers < 1 || *p.Workers > 1024) {
		fail("workers", "Wrong value", "It is a number from 1 to 1024.")
	}
	if unknown("state") || unknown("content") || unknown("source") {
		return errs
	}
	switch given := p.Content != nil || p.Source != nil; {
	case p.State == "absent" && (given || p.Workers != nil || p.Queue != ""):
		fail("state", "Conflicting arguments", "A pipeline that is absent has no text, workers and queue: leave them out.")
	case p.Content != nil && p.Source != nil:
		fail("source", "Conflicting arguments", "Its text is given by content, too: leave out one of them.")
	case p.State != "absent" && !given:
		fail("content", "Missing argument", "Give its text, as content or as a file of the project, source = \"pipelines/%s.conf\".", p.ID)
	}
	return errs
}

// May is its text, the list of pipelines, and Logstash.
func (p *Pipeline) May() []host.Effect {
	list := append(keeps(loadedPath), host.Open(host.Files, pipelinesPath), host.Effect{Key: host.File(textsFolder), State: host.Possible})
	if p.ID == "" {
		list = append(list, host.Begins(host.Files, textsFolder+"/"))
	} else {
		list = append(list, host.Open(host.Files, textPath(p.ID)))
	}
	return append(list, host.Open(nodeKey.Space, nodeKey.Name), host.Open(host.Units, unit))
}

// Plan compares the text and the list of pipelines, and what runs.
func (p *Pipeline) Plan(ctx context.Context, v *host.View) (modules.Plan, error) {
	if !host.IsRoot() {
		return modules.Plan{}, errNotRoot
	}
	plan, err := p.plan(ctx, v)
	if isNotYet(err) {
		plan = modules.Plan{Then: []host.Description{
			{Action: host.Update, Target: textPath(p.ID), Impact: "where it doesn't hold the pipeline by then"},
			{Action: host.Update, Target: pipelinesPath, Impact: "where it doesn't list the pipeline by then"},
			{Action: host.Reload, Target: unit, Impact: "where it doesn't run with them"},
		}}
	}
	return plan, err
}

func (p *Pipeline) plan(ctx context.Context, v *host.View) (plan modules.Plan, err error) {
	w, err := readWhole(ctx, v)
	if err != nil {
		return plan, err
	}
	now, err := readCurrent(ctx, v, w)
	if err != nil {
		return plan, err
	}
	arg, content := "content", p.Content
	if p.Source != nil {
		arg, content = "source", p.Source
	}
	if p.State == "absent" {
		err = p.drop(ctx, v, w, &plan)
	} else {
		err = p.write(ctx, v, w, &plan, content)
	}
	if err != nil {
		return plan, err
	}
	l, err := p.load(v, w, now, plan.Changes)
	if err != nil {
		return plan, err
	}
	if len(plan.Changes) > 0 && p.State != "absent" {
		if err := w.defined(ctx, v, needs(w.texts[p.ID]), "the pipeline "+strconv.Quote(p.ID)); err != nil {
			return plan, placed(err, arg, "")
		}
		if err := w.apart(); err != nil {
			return plan, placed(err, arg, "")
		}
	}
	if len(plan.Changes) > 0 && len(w.ready()) > 0 {
		if err := w.test(ctx, v, content != nil && content.Sensitive); err != nil {
			if p.State == "absent" {
				return plan, err
			}
			return plan, placed(err, arg, "")
		}
	}
	if l != nil {
		plan.Changes = append(plan.Changes, l)
	}
	plan.Atomic = len(plan.Changes) > 0
	return plan, nil
}

// write plans the text, and the pipeline's lines in the list.
func (p *Pipeline) write(ctx context.Context, v *host.View, w *whole, plan *modules.Plan, content *host.Content) error {
	text, err := v.Body(ctx, *content, fileLimit)
	if err != nil {
		return err
	}
	info, err := v.Stat(textsFolder)
	if err != nil {
		return err
	}
	if !info.Exists() {
		mode := host.Mode(0o755)
		plan.Changes = append(plan.Changes, &host.MakeDir{Path: textsFolder, Attr: host.Attr{Mode: &mode}, After: host.FileInfo{Type: host.Directory, Mode: mode, Owner: "root", Group: "root"}})
	}
	write, err := v.Rewrite(ctx, textPath(p.ID), func(string) (string, error) { return string(text), nil })
	if err != nil {
		return err
	}
	for _, c := range write {
		if f, ok := c.(*host.WriteFile); ok { // it may hold passwords, and Logstash reads it
			mode := host.Mode(0o640)
			f.Attr.Mode, f.Attr.Group, f.After.Mode, f.After.Group = &mode, account, mode, account
			if content.Sensitive {
				f.Diff, f.Content.Sensitive, f.After.Sensitive = "", true, true
			}
		}
	}
	plan.Changes = append(plan.Changes, write...)
	want := map[string]string{"path.config": spelled(textPath(p.ID)), "config.string": ""}
	if p.Workers != nil {
		want["pipeline.workers"] = strconv.Itoa(*p.Workers)
	}
	if p.Queue != "" {
		want["queue.type"] = p.Queue
	}
	w.texts[p.ID] = string(text)
	return p.list(ctx, v, w, plan, w.pipelines.with(p.ID, want))
}

// drop plans that the pipeline goes, and its text.
func (p *Pipeline) drop(ctx context.Context, v *host.View, w *whole, plan *modules.Plan) error {
	if err := p.list(ctx, v, w, plan, w.pipelines.without([]string{p.ID})); err != nil {
		return err
	}
	before, err := v.Lstat(textPath(p.ID))
	if err == nil && before.Exists() {
		plan.Changes = append(plan.Changes, &host.Remove{Path: textPath(p.ID), Before: before})
	}
	return err
}

// list plans the list of pipelines.
func (p *Pipeline) list(ctx context.Context, v *host.View, w *whole, plan *modules.Plan, text string) (err error) {
	if w.pipelines, err = parsePipelines(text); err != nil {
		return fmt.Errorf("%s: its lines can't be changed one by one: %w", pipelinesPath, err)
	}
	write, err := v.Rewrite(ctx, pipelinesPath, func(string) (string, error) { return text, nil })
	plan.Changes = append(plan.Changes, write...)
	return err
}

// load finds out how Logstash comes to run with the pipeline; nil where it does.
func (p *Pipeline) load(v *host.View, w *whole, now *current, changes []host.Change) (*Load, error) {
	next := behind(v, changes)
	own, pipelines := w.names()
	l := &Load{Verb: verbReload, Names: append(own, pipelines...), Runs: w.ready(), Sums: planned(changes)}
	mine := []string{pipelinesPath}
	if p.State == "absent" {
		l.Gone = []string{p.ID}
	} else {
		mine = append(mine, textPath(p.ID))
		if len(changes) > 0 {
			l.Fresh = []string{p.ID}
		}
		if p.Workers != nil {
			l.Workers = map[string]int{p.ID: *p.Workers}
		}
	}
	changed, err := now.changed(next, mine)
	if err != nil {
		return nil, err
	}
	switch {
	case len(l.Runs) == 0 && !now.Running:
		return nil, nil
	case len(l.Runs) == 0 && p.State == "absent" && len(changes) > 0:
		l.Verb, l.For, l.Gone = verbStop, []string{"it has no pipeline left"}, nil
	case len(l.Runs) == 0:
		return nil, nil
	case !now.Running && (p.State != "absent" || len(changes) > 0):
		l.Verb = verbStart
	case !now.Running:
		return nil, nil
	case now.mute != nil:
		l.Verb, l.For = verbRestart, []string{"its API doesn't answer"}
	case len(changes) > 0 || len(changed) > 0:
		l.For = changed
	case now.node != nil && p.State != "absent" && !now.node.runs(p.ID):
		l.Verb, l.For = verbRestart, []string{"the pipeline " + strconv.Quote(p.ID) + ", which doesn't run"}
	default:
		return nil, nil
	}
	return l, l.lay(next)
}
