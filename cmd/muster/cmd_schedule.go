package main

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"muster/internal/schedule"
)

func newSchedule(a *app) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "schedule",
		Short: "Have drift checks and due rotations made by a timer",
		Long: "Schedule has a timer of systemd make drift checks, or the rotations that are due, as an unprivileged user: on this machine, in the project as it is, or on a host of the inventory, in a copy.\n\n" +
			"Each has a key of its own. The key of the checks can only plan, and only what somebody who may change a host has had planned there: docs/night.md says how.",
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newScheduleInstall(a), newScheduleList(a), newScheduleRemove(a))
	return cmd
}

// job is what a schedule has done.
type job struct {
	name  string // as the command line calls it
	what  string
	login string // on hosts
	plans bool   // that login only plans
}

func jobs() []job {
	return []job{
		{"drift", "a drift check", "muster-plan", true},
		{"rotations", "the rotations that are due", "muster-rotate", false},
	}
}

func jobOf(name string) (job, error) {
	for _, j := range jobs() {
		if j.name == name {
			return j, nil
		}
	}
	return job{}, fmt.Errorf("there is no schedule %q: there are \"drift\" and \"rotations\"", name)
}

// installing is what "schedule install" is told.
type installing struct {
	job
	when   *schedule.Schedule
	on     string
	delay  time.Duration
	checks []string // the playbooks of a drift check
	yes    bool
	loaded *loaded
}

func newScheduleInstall(a *app) *cobra.Command {
	var at string
	i := &installing{}
	cmd := &cobra.Command{
		Use:   "install drift|rotations [PLAYBOOK…]",
		Short: "Install or renew a schedule, with the login that it has on hosts",
		Long: "Install sets up, on all hosts or those of --limit, a login whose key has muster's remote run and nothing else, and the timer that uses it. " +
			"Run it again after muster was upgraded, and after hosts were added.\n\n" +
			"--at takes days, times of the day and their zone. A time that a clock change skips or repeats is warned of.\n\n" +
			"What is given with -i, --limit, --var, --var-file, --store and --report is given to each check, too.",
		Example: "  muster schedule install drift --at '03:00 Europe/Berlin' --report html=public/drift.html\n  muster schedule install drift --at 'Mon..Fri 06:30,18:30 UTC' --on monitor\n  muster schedule install rotations --at 'Sun 04:00 UTC'",
		Args:    cobra.MinimumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			var err error
			if i.job, err = jobOf(args[0]); err != nil {
				return err
			}
			if len(args) > 1 && !i.plans {
				return fmt.Errorf("\"schedule install %s\" takes no playbooks", i.name)
			}
			if i.checks, err = playbookFiles(args[1:]); err != nil {
				return err
			}
			if at == "" {
				return fmt.Errorf("say when, with --at: %s", schedule.Allowed)
			}
			if i.when, err = schedule.Parse(at); err != nil {
				return err
			}
			if i.delay < 0 || i.delay > 12*time.Hour {
				return fmt.Errorf("--delay is a time of up to 12h, such as 10m, not %s", i.delay)
			}
			if i.on != "" && !i.plans {
				return errors.New("--on can't be given with rotations: they write the store of secrets, and the program that commits it runs beside it; install them on the machine that has both")
			}
			return a.installSchedule(cmd.Context(), i)
		},
	}
	cmd.Flags().StringVar(&at, "at", "", "`WHEN`: [DAYS] TIMES ZONE, such as \"03:00 Europe/Berlin\"")
	cmd.Flags().StringVar(&i.on, "on", "", "on `HOST` of the inventory, in a copy of the project")
	cmd.Flags().DurationVar(&i.delay, "delay", 10*time.Minute, "begin up to `TIME` later, at random, so that not all begin at once")
	cmd.Flags().BoolVarP(&i.yes, "yes", "y", false, "don't ask")
	a.targetsFlag(cmd)
	return cmd
}

func newScheduleRemove(a *app) *cobra.Command {
	on, yes := "", false
	cmd := &cobra.Command{
		Use:   "remove drift|rotations",
		Short: "Remove a schedule, and take its key from hosts",
		Long:  "Remove removes the timer, and the key from every host that the inventory has, or those of --limit. The login stays there without a key, and with it what it may do.",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			j, err := jobOf(args[0])
			if err != nil {
				return err
			}
			return a.removeSchedule(cmd.Context(), &installing{job: j, on: on, yes: yes})
		},
	}
	cmd.Flags().StringVar(&on, "on", "", "from `HOST` of the inventory")
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "don't ask")
	return cmd
}

// notInUnit is what no name of a unit should have.
var notInUnit = regexp.MustCompile(`[^A-Za-z0-9_.]+`)

// unit is the schedule's name among the units of its machine, without the type.
func (i *installing) unit() string {
	return "muster-" + i.name + "-" + strings.Trim(notInUnit.ReplaceAllString(filepath.Base(i.loaded.project.Dir), "_"), "_")
}

// dir is where the copy of the project stands on another host.
func (i *installing) dir() string { return "/var/lib/muster-night/" + i.unit() }

// keyFile is where the private key is kept on this machine.
func (i *installing) keyFile() string {
	name := i.name
	if i.on != "" {
		name += "-" + i.on
	}
	return filepath.Join(filepath.Dir(i.loaded.project.Journal()), "schedules", name+".key")
}

// where names the machine that the schedule runs on.
func (i *installing) where() string {
	if i.on == "" {
		return "this machine"
	}
	return i.on
}
