#!/bin/bash
# Every test: on this machine, and on real hosts.
. "$(dirname "$0")/setup.sh"
cat <<EOF
make test does all of this and fails where a piece is missing:
  1. installs what it needs from Debian's packages
  2. builds muster with the remotes it pushes; gofmt, go vet, staticcheck
  3. runs every package's tests with -race, the command line's among them, with a
     /tmp of their own
  4. brings up real hosts behind a real bastion, and there runs the kinds that
     edit a machine, then whole runs of muster, then the lab's own tests
  5. counts what each of these stages has skipped, and looks whether another has
     run it, and whether every promise of docs/promises.md is held by a test
EOF
needs "make test"
start=$SECONDS
results=$(mktemp -d)
own=$(mktemp -d -p /var/tmp)
tools script:bsdutils sshd:openssh-server sudo:sudo fish:fish zsh:zsh tcsh:tcsh groff:groff-base /usr/share/bash-completion/bash_completion:bash-completion setfacl:acl chattr:e2fsprogs visudo:sudo chromium:chromium
trap 'rm -rf "$results" "$own"' EXIT

# apart FOLDER COMMAND…: on a machine where muster hasn't been yet, whatever earlier runs and
# people have left on this one. FOLDER is what stands at /tmp there.
apart() {
	mkdir -p "$own/held" "$own/state" "$own/tmp" /run/muster /var/lib/muster
	chmod 1777 "$own/tmp"
	unshare --mount sh -c 'mount --bind "$0/held" /run/muster && mount --bind "$0/state" /var/lib/muster && mount --bind "$1" /tmp && shift && exec "$@"' "$own" "$@"
}

say "building"
make --no-print-directory build ARCHES="amd64 arm64"
go build -o bin/lab ./tests/cmd/lab
go build -o bin/results ./tests/cmd/results

say "gofmt, vet, staticcheck ($((SECONDS - start)) s so far)"
make --no-print-directory lint

say "tests on this machine ($((SECONDS - start)) s so far)"
failed=0
apart "$own/tmp" go test -race -json -timeout 15m ./... | bin/results record "$results/here.json" || failed=1

say "tests on real hosts ($((SECONDS - start)) s so far)"
RESULTS=$results apart /tmp tests/real.sh || failed=1

say "what was run, and promises ($((SECONDS - start)) s so far)"
bin/results check "$results" || failed=1
[ $failed = 0 ] || { say "some of it failed, in $((SECONDS - start)) s"; exit 1; }

say "all tests passed in $((SECONDS - start)) s"
