package docs

// fieldTexts says what lines and their fields are for, by TYPE and TYPE.FIELD.
func fieldTexts() map[string]string {
	return map[string]string{
		"version":        "The first line.",
		"version.muster": "The version of muster.",
		"version.format": "The version of this format.",

		"plan":          "A saved plan follows, task by task: the first line of show, and of an apply of one.",
		"plan.playbook": "The playbook, as it was given.", "plan.created": "When it was planned, as \"2026-05-04T03:02:01Z\".",
		"plan.by": "By whom: user@machine.", "plan.muster": "The version of muster that planned.",
		"plan.limit": "The flag --limit that it was planned with.", "plan.tags": "The flag --tags.", "plan.skip_tags": "The flag --skip-tags.",
		"plan.sealed": "Something sensitive in it has to be opened with an identity before it is applied.",

		"play":      "A play begins to be made.",
		"play.play": "Its name.",

		"task":      "Where a task stands on a host. In an apply, a task that is pending comes a second time when it is done. One that turns out to be in the way of another comes once more, as failed.",
		"task.host": "The play's host.", "task.on": "The host acted on, where it is another.",
		"task.play": "The play's name.", "task.role": "The roles it stands in, with their keys of for_each: \"web/certificate\", \"web[\\\"x\\\"]\"; \"\" outside of roles.",
		"task.task": "Its label.", "task.key": "Its key of for_each; \"\" without.", "task.kind": "Its kind.",
		"task.status":    "unchanged, changed, pending (while planning), failed, skipped (its condition didn't hold), not_reached (it never came to its turn: its host had failed, or the run ended), unreachable, or unknown: the connection was lost, and it may have been made.",
		"task.certainty": "Of a pending one: known, tentative (behind something that can't be foreseen) or deferred (known after apply).",
		"task.changes":   "What is to be changed, or was; see below.",
		"task.then":      "What can be foreseen to follow, and is only known after these changes.",
		"task.always":    "It runs every time, which is no drift.",
		"task.error":     "Why it failed.", "task.tolerated": "The failure is an expected one: on_error or rescue.",
		"task.output": "What it offers as its output, of some kinds; of a task that fails, what it has found.",
		"task.file":   "Where the task stands.", "task.line": "The line there, from 1.", "task.seconds": "How long it took.",

		"progress":      "How a long change is getting on.",
		"progress.host": "The host.", "progress.task": "The task's label.", "progress.text": "For people.",

		"rescue":      "What a block's rescue would run if the block failed, where something in it is pending: the last lines of a plan before its summary.",
		"rescue.play": "The play's name.", "rescue.block": "The block's label.",
		"rescue.hosts": "The hosts on which something in the block is pending.",
		"rescue.tasks": "The tasks, as references call them: \"task.command.logs\".",

		"notice":      "Something about the run as a whole.",
		"notice.text": "For people.",

		"rotation":          "How far a rotation has come.",
		"rotation.rotation": "Its name.", "rotation.secret": "The secret that it changes.",
		"rotation.step": "What has been done, or is being done: pending (a value is stored), refused (another is made), accept, consumers NAME, verify, promoted, retire, retired, dropped (it is given up); open, where the old value can't be retired yet, or done, which is its last.",
		"rotation.text": "For people.",

		"host":      "A host can't be used.",
		"host.host": "Its name.", "host.error": "Why.",
		"host.status": "unreachable; failed where it was reached and can't be used: sudo was refused, its remote was lost, or it isn't as a saved plan found it.",

		"diagnostic":          "Something is wrong with the input, or with muster's surroundings.",
		"diagnostic.severity": "error or warning.", "diagnostic.summary": "What is wrong, in a few words.",
		"diagnostic.detail": "The same in full sentences.", "diagnostic.hint": "What was probably meant, or what to write.",
		"diagnostic.file": "Where, as seen from the working directory.", "diagnostic.line": "From 1.", "diagnostic.column": "From 1, in characters.",

		"summary":         "What a run came to: its last line. An apply that asks prints one before it asks, too.",
		"summary.outcome": "unchanged, changed, pending, failed, unreachable or interrupted.",
		"summary.hosts":   "By name, how many tasks are unchanged, changed, pending, failed, skipped, not reached and unknown (numbers; not reached are those that never came to their turn, since the host had failed or the run ended: in an apply each has its line; unknown are those that may have been made when the connection was lost), and whether the host is unreachable (a bool). `unplanned` is true where the run ended before all that is to be made on it was planned. Of the pending ones `always` run every time and `checks` only look; of the failed ones `tolerated` may. `actions` counts what is to be done, or was, by action. These are left out where they are none.",
		"summary.run":     "The run, as `muster history` has it. A plan is in no history.",
		"summary.next":    "The command that goes on where hosts failed.",
		"summary.seconds": "How long the run took.",

		"drift":       "What became of a task that has something to do, or had at the last check. A drift check prints, for each playbook, the lines of a plan with their summary; then these, and then the check.",
		"drift.state": "new, still (the last check found it, too), gone, or unchecked (it was there, and this check couldn't look).",
		"drift.host":  "The play's host.", "drift.on": "The host acted on, where it is another.",
		"drift.playbook": "The playbook, relative to the project.", "drift.play": "The play's name.", "drift.role": "The roles the task stands in, as above.",
		"drift.task": "Its label.", "drift.key": "Its key of for_each; \"\" without.", "drift.kind": "Its kind.", "drift.certainty": "As above.",
		"drift.changes":   "What would put it right; of one that is gone or unchecked, what would have at the last check.",
		"drift.since":     "When a check found it first, or found that it is back.",
		"drift.altered":   "It is still there, and differs from what the last check found.",
		"drift.known":     "What the host knows of who altered it, in lines.",
		"drift.returned":  "How many times running it came back after it was put right.",
		"drift.contested": "It came back three times running or more: somebody else sets it.",
		"drift.run":       "The run since the last check that put it right, of one that is gone or back.", "drift.by": "Who made that run: user@machine.",
		"drift.file": "Where the task stands.", "drift.line": "The line there, from 1.",

		"check":           "What a drift check came to: its last line.",
		"check.check":     "Its id.",
		"check.last":      "The id of the last check of one of its playbooks.",
		"check.playbooks": "The playbooks, relative to the project.",
		"check.new":       "How many drifts are new, or back.", "check.still": "How many are still there.", "check.gone": "How many have gone.",
		"check.unchecked": "How many were there that couldn't be looked at.", "check.contested": "How many are contested.",
		"check.not_checked": "The hosts that couldn't be checked.",

		"end": "## Changes\n\n" +
			"An element of `changes` and `then` has an `action` (create, update, delete, restart, reload, run, check or refresh) and a `target`; " +
			"a `diff`, unified or in lines of \"name: old → new\", or, of a task that is known after apply, what is known of its arguments, in lines of \"name = value\"; and an `impact` (\"removes 2 packages: …\") where there is one.\n\n" +
			"## Other commands\n\n" +
			"`inventory list`, `inventory show`, `inventory graph`, `facts`, `doc`, `secret list`, `secret get` and `secret check` print one JSON document of their own with `--output json`, without a version line; only where something is wrong do lines come before it. " +
			"`fmt` prints `{\"type\":\"format\",\"file\":\"site.hcl\",\"changed\":true}` for each file that differs, `changed` being false with `--check`. What changes a secret prints `{\"type\":\"secret\",\"action\":\"set\",\"name\":\"mysql/app\",\"version\":2}`; its action is set, unchanged, described, added, changed or removed.\n\n" +
			"`validate` prints the version line and, where nothing is wrong, `{\"type\":\"valid\",\"playbooks\":3,\"plays\":7,\"tasks\":42,\"hosts\":8}`; `rotations` is left out where there is none. " +
			"With `--list-hosts`, `--list-tasks` and `--list-tags`, `plan` and `apply` print the version line and a line for each play, with what was asked for: `{\"type\":\"list\",\"play\":\"web\",\"hosts\":[\"web1\"],\"tasks\":[{\"task\":\"task.file.motd\",\"kind\":\"file\",\"tags\":[\"config\"],\"file\":\"site.hcl\",\"line\":12}],\"tags\":[\"config\"]}`; what is empty is left out. " +
			"`trust` prints the version line and `{\"type\":\"key\",\"host\":\"web1\",\"key\":\"ssh-ed25519\",\"fingerprint\":\"SHA256:…\",\"status\":\"new\"}` for each key; its status is new, known or changed, as it was before. " +
			"With `--quiet`, commands that it makes print nothing print no version line either." +
			"\n\n" +
			"## History\n" +
			"\n" +
			"`history` prints a line for each run, newest first, without a version line before them:\n" +
			"\n" +
			"```json\n" +
			"{\"type\":\"run\",\"run\":\"20260504-0302-7f3a\",\"playbook\":\"playbooks/site.hcl\",\"inventory\":\"inventory\",\"plan_file\":\"site.plan\",\"resumes\":\"20260504-0259-1c20\",\"limit\":[\"web\"],\"tags\":[\"config\"],\"skip_tags\":[\"slow\"],\"command\":\"muster apply playbooks/site.hcl --tags config\",\"muster\":\"0.1.0\",\"by\":\"ann@laptop\",\"began\":\"2026-05-04T03:02:01.123Z\",\"ended\":\"2026-05-04T03:02:09.456Z\",\"outcome\":\"failed\",\"hosts\":3,\"done\":2}\n" +
			"```\n" +
			"\n" +
			"`outcome` is that of the run's summary; or running, or cut off where its process is gone and never said how it ended. `hosts` is how many hosts it was for, and `done` on how many it came to its end. Times are UTC. `command` is the command line, with (sensitive) in the place of values of variables that are. What there is none of is left out: `ended` of a run that didn't end, the saved plan, the run that it goes on with, flags.\n" +
			"\n" +
			"`history RUN` prints the same line, and then for each host a line and its tasks:\n" +
			"\n" +
			"```json\n" +
			"{\"type\":\"host\",\"host\":\"web1\",\"status\":\"failed\",\"error\":\"task.command.reload: exit code 3\",\"ended\":\"2026-05-04T03:02:08.400Z\"}\n" +
			"{\"type\":\"task\",\"host\":\"web1\",\"on\":\"lb1\",\"play\":\"web\",\"role\":\"\",\"task\":\"reload\",\"key\":\"\",\"kind\":\"command\",\"status\":\"failed\",\"changes\":[],\"error\":\"exit code 3\",\"undone\":true,\"seconds\":0.25,\"granted\":\"2026-05-04T03:02:08.001Z\",\"ended\":\"2026-05-04T03:02:08.399Z\",\"undoable\":false,\"not_undoable\":\"nothing takes it back\"}\n" +
			"```\n" +
			"\n" +
			"The `status` of a host is done, failed, unreachable, stopped (the run ended before the host did) or unfinished (the journal doesn't know). A task is as above, without what only a plan has; its `status` may be unknown: it was begun, or may have been where the run was cut off, and nobody heard what became of it. `changes` is then what was planned, else what was made. `granted` is when it was begun, `ended` when it was done; `tolerated` says that its failure is an expected one, `undone` that what it had made was taken back, `undoable` that the journal has what takes it back, and `not_undoable` why it hasn't.\n" +
			"\n" +
			"`history --changed` prints a line for each task that changed something, oldest first, and `why` one, with the changes that set what it was asked for:\n" +
			"\n" +
			"```json\n" +
			"{\"type\":\"why\",\"at\":\"2026-05-04T03:02:08.399Z\",\"host\":\"web1\",\"on\":\"lb1\",\"playbook\":\"playbooks/site.hcl\",\"play\":\"web\",\"role\":\"\",\"task\":\"motd\",\"key\":\"\",\"kind\":\"file\",\"status\":\"changed\",\"changes\":[{\"action\":\"update\",\"target\":\"/etc/motd\"}],\"run\":\"20260504-0302-7f3a\",\"by\":\"ann@laptop\",\"file\":\"playbooks/site.hcl\",\"line\":12,\"check\":\"20260505-0302-1c20\",\"drift_since\":\"2026-05-05T03:02:01.000Z\"}\n" +
			"```\n" +
			"\n" +
			"The `type` is change in a history. `at` is when it was made; `status` is changed, failed (part of it was made), or unknown: `changes` is then what was planned. `file` and `line` are where the task stood. `check` is the last drift check since, and `drift_since` when a check found that it is no longer so: both only of `why`, where there is one." +
			"\n\n" +
			"## Schedules\n" +
			"\n" +
			"`schedule list` prints a line for each schedule of the machine:\n" +
			"\n" +
			"```json\n" +
			"{\"type\":\"schedule\",\"unit\":\"muster-drift-shop\",\"when\":\"03:00 Europe/Berlin\",\"user\":\"ann\",\"project\":\"/srv/shop\",\"active\":true,\"next\":[\"2026-05-04T03:00:00+02:00\"],\"last\":[{\"began\":\"2026-05-03T03:02:01.123Z\",\"ended\":\"2026-05-03T03:04:09.456Z\",\"code\":2,\"said\":[\"2 new, 1 still there, 0 gone\"]}]}\n" +
			"```\n" +
			"\n" +
			"`active` is whether its timer runs, `next` the next three times without the random delay, `last` the last runs, newest first: `code` is the exit code, and `said` what came of it or went wrong, left out where that is nothing.",
	}
}
