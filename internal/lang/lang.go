// Package lang turns playbooks into plays and tasks.
//
// Load reads a playbook with everything it uses (roles, templates, included
// playbooks) and has all checked that can be checked before a connection is made.
// What it returns is the same for every host. Package eval then evaluates it for
// one host of one play.
package lang
