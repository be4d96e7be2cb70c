// Package lang turns playbooks into plays and tasks.
//
// Load reads a playbook with everything it uses (roles, templates, included
// playbooks) and checks all that can be checked before a connection is made.
// What it returns is the same for every host. A Scope then evaluates it for
// one host of one play: which instances a task has there, whether it runs, and
// the arguments that modules.Decode takes.
//
// The package depends on no inventory, transport or store: it is told of the
// fleet, of facts, of earlier tasks' results and of secrets through Options
// and Results.
package lang
