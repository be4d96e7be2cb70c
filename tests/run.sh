#!/bin/bash
# Every test: on this machine, and on real hosts.
. "$(dirname "$0")/setup.sh"
cat <<EOF
make test does all of this and fails where a piece is missing:
  1. installs what it needs from Debian's packages
  2. builds muster with the remotes it pushes; gofmt, go vet, staticcheck
  3. runs every package's tests with -race, the command line's among them
  4. brings up real hosts behind a real bastion, and there runs the kinds that
     edit a machine, then whole runs of muster, then the lab's own tests
  5. counts what each of these stages has skipped, and looks whether another has
     run it, and whether every promise of docs/promises.md is held by a test
EOF
needs "make test"
start=$SECONDS
results=$(mktemp -d)
trap 'rm -rf "$results"' EXIT
tools script:bsdutils sshd:openssh-server sudo:sudo fish:fish zsh:zsh tcsh:tcsh groff:groff-base /usr/share/bash-completion/bash_completion:bash-completion setfacl:acl chattr:e2fsprogs visudo:sudo chromium:chromium

say "building"
make --no-print-directory build ARCHES="amd64 arm64"
go build -o bin/lab ./tests/cmd/lab
go build -o bin/results ./tests/cmd/results

say "gofmt, vet, staticcheck ($((SECONDS - start)) s so far)"
make --no-print-directory lint

say "tests on this machine ($((SECONDS - start)) s so far)"
go test -race -json -timeout 15m ./... | bin/results record "$results/here.json"

say "tests on real hosts ($((SECONDS - start)) s so far)"
RESULTS=$results tests/real.sh

say "what was run, and promises ($((SECONDS - start)) s so far)"
bin/results check "$results"

say "all tests passed in $((SECONDS - start)) s"
