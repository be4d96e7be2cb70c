// Package modulestest runs the conformance cases of kinds.
//
// A case is a txtar file: what it shows in the comment, and the sections
//
//	task        tasks, each `KIND { arguments }` in HCL with constant values
//	before/…    files that stand under $ROOT first
//	setup       a shell script (sh -eu, in $ROOT) that completes the state before
//	changes     what the plan must show, a line each: ACTION TARGET [certainty],
//	            where the certainty stands only if it isn't "known"
//	made        what is made of it, a line each: ACTION TARGET; where it isn't all
//	            that was shown, because an earlier task brought some of it
//	diff        text that the shown diffs, impacts and notes must contain, line by line
//	hidden      text that no output may contain
//	error       text that the plan's error must contain; no task is then made
//	failure     text that the error of making the tasks must contain
//	after/…     files as they must be in the end
//	meta        lines PATH TYPE MODE OWNER:GROUP of the end, "-" for anything;
//	            the type is file, directory, link or absent
//	check       a shell script that must succeed in the end
//	companion HOST  JSON that the task's companion on HOST tells; after a line "open"
//	            it is told only when the task is made
//	stream HOST a shell script that sends for that companion: the request is its
//	            standard input, its standard output the stream, its exit code the verdict
//	request     JSON: the case's one task is a companion (modules.Sender), and
//	            this is asked of it
//	output      JSON that the companion's plan tells
//	sends       what it sends, to the byte
//	received    a shell script that gets what it sends as its standard input, and must
//	            succeed
//	refusal     text that its error must contain
//	copy        the copy in the project's folder that the task keeps of a file (modules.Copier)
//	copied      that copy in the end; without it, none may be brought
//	varies      regular expressions, a line each: what they match may differ between two
//	            runs that reach the same end (a salt)
//	options     words: "always" (an unguarded command: planned again it runs
//	            again), "system" (edits the machine itself: runs only where
//	            MUSTER_LAB_HOST is set), "slow" (runs slow programs, and is cut at a
//	            few places), "nocut" (isn't cut, with a reason in the comment),
//	            "user=NAME" (that user plans and makes the tasks)
//	reset       for system cases: a shell script that brings back the state
//	            before, so that the case can be cut and failed
//
// The inventory calls the host "here" (host.View.HostName).
//
// $ROOT stands for the case's own folder in every section. A kind is taken to lie,
// and each case goes through all of this:
//
//   - It is planned, and planned again: twice the same. Nothing is written meanwhile
//     but in a private folder (host.Scratch), and nothing is looked at of which no
//     View was asked: by the process itself anywhere, by programs in $ROOT.
//   - Each change that is made alters nothing but what its effects name, here and
//     elsewhere on the host, and leaves there what they say. Its action, target and
//     diff are what it does, and tell nothing that is hidden, in clear or encoded. It
//     calls Begin, and not with an empty Undo where its plan is atomic.
//   - What was made is what was shown; the end is the one of the case; planned again,
//     nothing is left to do.
//   - Cut off before each system call that alters something, and before each program
//     that a change runs, the next run reaches the same end. A case that edits the machine
//     itself, or is slow, is cut at a few of these places, and at more where AllCuts is set.
//   - What is told to Begin takes it all back, to the byte.
//   - What somebody else alters between the last plan and a change is seen
//     (host.ErrMoved), or left as it is.
//   - Where a step fails nothing temporary is left; an atomic plan is undone.
//
// A companion's case is another: it is planned, twice the same and without a change, and
// asked for its request. Sending alters nothing, and ends at once where the receiver is
// gone.
//
// Cases run in a process whose system calls are watched (package watch): nothing that
// goes past a view or past a change's steps escapes.
package modulestest
