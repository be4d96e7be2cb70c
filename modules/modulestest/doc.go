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
//	diff        text that the shown diffs must contain, line by line
//	hidden      text that no output may contain
//	error       text that the plan's error must contain; no task is then made
//	failure     text that the error of making the tasks must contain
//	after/…     files as they must be in the end
//	meta        lines PATH TYPE MODE OWNER:GROUP of the end, "-" for anything;
//	            the type is file, directory, link or absent
//	check       a shell script that must succeed in the end
//	options     words: "always" (an unguarded command: planned again it runs
//	            again), "system" (edits the machine itself: runs only where
//	            MUSTER_LAB_HOST is set), "nocut" (isn't cut, with a reason in
//	            the comment), "user=NAME" (that user plans and makes the tasks)
//	reset       for system cases: a shell script that brings back the state
//	            before, so that the case can be cut and failed
//
// $ROOT stands for the case's own folder in every section. Each case goes
// through all of this: plan (which must touch nothing), compare with changes,
// make, compare what was made with what was shown, compare the end, plan again
// (which must find nothing); then for every step of every change: start anew,
// cut it there, and plan and make again, which must reach the same end without
// anything left over; then, for atomic plans, fail each change: the first plan
// must come back.
package modulestest
