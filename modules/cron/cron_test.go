package cron

import (
	"strings"
	"testing"

	"muster/modules/file"
	"muster/modules/modulestest"
)

func TestConformance(t *testing.T) { modulestest.Run(t, append(Kinds(), file.Kinds()...)...) }

func TestWhatIsNoJobIsNamed(t *testing.T) {
	known := func(string) bool { return false }
	for name, c := range map[string]struct {
		job  Job
		arg  string
		says string
	}{
		"no times":          {Job{Command: "true"}, "schedule", "needs its times"},
		"times twice":       {Job{Command: "true", Schedule: "@daily", Hour: "3"}, "schedule", "not from both"},
		"special and hour":  {Job{Command: "true", Special: "daily", Hour: "3"}, "special", "not from both"},
		"no minute":         {Job{Command: "true", Hour: "3"}, "minute", "in each of them"},
		"no hour":           {Job{Command: "true", Minute: "3", Day: "1"}, "hour", "in each of them"},
		"a wrong minute":    {Job{Command: "true", Minute: "61", Hour: "1"}, "minute", "from 0 to 59"},
		"a wrong weekday":   {Job{Command: "true", Minute: "1", Hour: "1", Weekday: "9"}, "weekday", "from 0 to 7"},
		"two fields in one": {Job{Command: "true", Minute: "1 2", Hour: "1"}, "minute", "more than one field"},
		"four fields":       {Job{Command: "true", Schedule: "1 2 3 4"}, "schedule", "this one has 4"},
		"no command":        {Job{Schedule: "@daily"}, "command", "needs its command"},
		"two lines":         {Job{Command: "a\nb", Schedule: "@daily"}, "command", "is one line"},
		"too long":          {Job{Command: strings.Repeat("x", 999), Schedule: "@daily"}, "command", "has 999 bytes, and cron takes 998"},
		"a name's end":      {Job{Name: "a\n* * * * * evil", Command: "true", Schedule: "@daily"}, "name", "can't be a job's name"},
		"a user":            {Job{User: "../root", Command: "true", Schedule: "@daily"}, "user", "is no user's name"},
		"a file with a dot": {Job{File: "/etc/cron.d/a.b", Command: "true", Schedule: "@daily"}, "file", "is no file that cron reads"},
		"cron's variable":   {Job{Command: "true", Schedule: "@daily", Env: map[string]string{"MAILTO": "x"}}, "env", "give the job a file of its own"},
		"no variable":       {Job{Command: "true", Schedule: "@daily", Env: map[string]string{"A-B": "x"}}, "env", "is no variable's name"},
		"a variable's end":  {Job{Command: "true", Schedule: "@daily", Env: map[string]string{"A": "x\ny"}}, "env", "is one line"},
		"absent":            {Job{State: "absent", Command: "true"}, "state", "neither times nor a command"},
	} {
		j := c.job
		if j.Name == "" {
			j.Name = "job"
		}
		if j.User == "" {
			j.User = "root"
		}
		errs := j.Check(known)
		if len(errs) != 1 || errs[0].Arg != c.arg || !strings.Contains(errs[0].Detail, c.says) {
			t.Errorf("%s: %+v, want %s: %s", name, errs, c.arg, c.says)
		}
	}
}

func TestLinesThatCronReadsAreOthersOwn(t *testing.T) {
	j := &Job{User: "root"}
	for _, line := range []string{"", "# x", "MAILTO=a", "A = b c", `"A B"="c"`, "*/70 * * * * x", "0 22-4 * * * x", "@daily x", "0 3 * * Sun,mon x y", "1~5 * * * * x", "\t5 4 * * * x"} {
		if err := j.readable("# x\n" + line + "\n"); err != nil {
			t.Errorf("%q: %v", line, err)
		}
	}
	for line, says := range map[string]string{"@daily": "has no command", "5 4 * * *": "has no command", "5 4 * *": "five fields", "x y": "five fields", "60 * * * * x": "no minute", "@often x": "knows no"} {
		if err := j.readable(line); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, want %s", line, err, says)
		}
	}
}
