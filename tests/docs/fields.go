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
		"task.status":    "unchanged, changed, pending (while planning), failed, skipped, unreachable, or unknown: the connection was lost, and it may have been made.",
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

		"host":      "A host can't be used.",
		"host.host": "Its name.", "host.error": "Why.",
		"host.status": "unreachable; failed where it was reached and can't be used: sudo was refused, its remote was lost, or it isn't as a saved plan found it.",

		"diagnostic":          "Something is wrong with the input, or with muster's surroundings.",
		"diagnostic.severity": "error or warning.", "diagnostic.summary": "What is wrong, in a few words.",
		"diagnostic.detail": "The same in full sentences.", "diagnostic.hint": "What was probably meant, or what to write.",
		"diagnostic.file": "Where, as seen from the working directory.", "diagnostic.line": "From 1.", "diagnostic.column": "From 1, in characters.",

		"summary":         "What a run came to: its last line. An apply that asks prints one before it asks, too.",
		"summary.outcome": "unchanged, changed, pending, failed, unreachable or interrupted.",
		"summary.hosts":   "By name, how many tasks are unchanged, changed, pending, failed, skipped and unknown (numbers; unknown are those that may have been made when the connection was lost), and whether the host is unreachable (a bool).",
		"summary.seconds": "How long the run took.",

		"end": "## Changes\n\n" +
			"An element of `changes` and `then` has an `action` (create, update, delete, restart, reload, run, check or refresh) and a `target`; " +
			"a `diff`, unified or in lines of \"name: old → new\", and an `impact` (\"removes 2 packages: …\") where there is one.\n\n" +
			"## Other commands\n\n" +
			"`inventory list`, `inventory show`, `inventory graph`, `facts`, `doc`, `secret list`, `secret get` and `secret check` print one JSON document of their own with `--output json`, without a version line; only where something is wrong do lines come before it. " +
			"`fmt` prints `{\"type\":\"format\",\"file\":\"site.hcl\",\"changed\":true}` for each file that differs, `changed` being false with `--check`. What changes a secret prints `{\"type\":\"secret\",\"action\":\"set\",\"name\":\"mysql/app\",\"version\":2}`; its action is set, unchanged, described, added, changed or removed." +
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
			"The `status` of a host is done, failed, unreachable, stopped (the run ended before the host did) or unfinished (the journal doesn't know). A task is as above, without what only a plan has; its `status` may be unknown: it was begun, or may have been where the run was cut off, and nobody heard what became of it. `changes` is then what was planned, else what was made. `granted` is when it was begun, `ended` when it was done; `undone` says that what it had made was taken back, `undoable` that the journal has what takes it back, and `not_undoable` why it hasn't.",
	}
}
