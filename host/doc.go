// Package host reads and edits the machine it runs on.
//
// A View is the host as the tasks planned so far will leave it: modules read
// it to plan. A Host is the machine itself: only a Change's Apply gets one.
// What lies between is data: a Change describes itself, names its Effects,
// and a Preview lays those over the machine for the Views that come after.
package host
