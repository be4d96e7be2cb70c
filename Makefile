# make demo and make test need nothing but Debian 12, Go, git, make and root:
# they install what else they use.
SHELL := /bin/bash
GO ?= go
ARCHES ?= amd64 arm64
# What packs the remotes: libdeflate's gzip makes them 4 % smaller, and tests and demo install it.
PACK := $(shell command -v libdeflate-gzip >/dev/null && echo libdeflate-gzip -12 -c || echo gzip -9nc)
# Loaded on demand: the pinned linter is a module of its own.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: build remotes dist test promises mutate lint demo demo-down bench generate pictures docker hire load mysql canary rotate-kills rotate-time night test-long clean

build: remotes
	@mkdir -p bin && { [ ! -L bin/muster ] || rm bin/muster; } # a release that ./bootstrap has fetched
	CGO_ENABLED=0 $(GO) build -trimpath -buildvcs=false -o bin/muster ./cmd/muster

# The remotes that muster pushes to hosts, packed and embedded into it.
remotes:
	@mkdir -p bin/remotes
	@for arch in $(ARCHES); do \
		program=bin/remotes/linux-$$arch; packed=cmd/muster/remotes/linux-$$arch; \
		GOOS=linux GOARCH=$$arch CGO_ENABLED=0 $(GO) build -tags nethttpomithttp2 -gcflags='muster/...=-l' -trimpath -buildvcs=false -ldflags='-s -w' -o $$program ./cmd/muster-remote || exit 1; \
		sum="$$(sha256sum < $$program | cut -d' ' -f1) $$(stat -c %s $$program)"; \
		if [ "$$(cat $$packed.sum 2>/dev/null)" != "$$sum" ] || [ ! -f $$packed.gz ]; then { $(PACK) $$program > $$packed.gz && echo "$$sum" > $$packed.sum; } || { rm -f $$packed.gz; exit 1; }; fi; \
	done

# What is shipped, in dist/, with its sums; see docs/dist.md.
dist:
	@tests/dist.sh

generate:
	$(GO) generate ./...

lint:
	@test -z "$$(gofmt -l $$(git ls-files '*.go'))" || { echo "gofmt needed:"; gofmt -l $$(git ls-files '*.go'); exit 1; }
	$(GO) vet ./...
	$(GO) run $(STATICCHECK) ./...

test:
	@tests/run.sh

# What docs/promises.md says is held by tests that exist.
promises:
	@$(GO) run ./tests/cmd/promises

# Breaks the code in each way of tests/mutations, one at a time, and looks whether the tests
# notice: ONLY=REGEXP chooses by name. docs/mutations.md has the list and its last result.
mutate:
	@$(GO) run ./tests/cmd/mutate -only '$(ONLY)'

# The pictures of the report page in docs/night.md, by Chromium.
pictures:
	$(GO) run ./tests/cmd/pictures docs/pictures

demo:
	@tests/demo.sh up

demo-down:
	@tests/demo.sh down

bench:
	@tests/bench.sh

clean:
	rm -rf bin dist cmd/muster/remotes/linux-*

# The application's containers on two bare hosts, with a registry: what each step prints.
docker: build
	@MUSTER_SHOW=1 MUSTER_REAL=1 MUSTER_LAB_ID=docker $(GO) test -v -count=1 -timeout 20m -run TestApplicationServersRunOneImage ./tests/real

# A new hire's machine from a bare host with one command, again, and a year later: what
# each run prints, and how long it takes. HIRE_SUITE=trixie|noble|jammy is another release.
hire: build
	@MUSTER_SHOW=1 MUSTER_REAL=1 MUSTER_LAB_ID=hire $(GO) test -v -count=1 -timeout 30m -run '^TestNewHire$$' ./tests/real

# Requests from outside lb1 while HAProxy is reloaded ten times, while a release is
# deployed, and while HAProxy is restarted, which has to show: how many failed or were
# refused, and the longest gap between two answers.
load: build
	@MUSTER_SHOW=1 MUSTER_REAL=1 MUSTER_LAB_ID=load $(GO) test -v -count=1 -timeout 20m -run '^TestLoad' ./tests/real

# A primary and two replicas from bare hosts while something writes, compared row by row:
# FLAVOR=mariadb|mariadb-11|mysql SIZE=MB METHOD=auto|clone|backup|dump. KILL=STEP (or
# all) kills muster at that step, and TIMES=1 measures it against the tools by hand.
# make test-long makes them of all three, and kills each way to copy at each of its steps.
mysql: build
	@MUSTER_SHOW=1 MUSTER_REAL=1 $(GO) test -v -count=1 -timeout 60m ./tests/mysql

# Values from a store in every place where a secret can stand, on this machine and on four
# hosts, and then looked for everywhere.
canary: build
	@MUSTER_REAL=1 $(GO) test -v -count=1 -timeout 30m ./tests/canary/...

# Secrets are rotated under load, and each rotation is cut off after each step and gone on
# with: KILLS=muster|consumer|bastion|acceptor|all is what is killed, SCENES=NAME,… which
# rotations, KILLS_LOG=FILE keeps the table.
# SCENES=mysql_app_mysql9 (MySQL 9 of Debian's sid) is made by itself.
rotate-kills: build
	@KILLS=$${KILLS:-muster} MUSTER_REAL=1 $(GO) test -v -count=1 -timeout 120m ./tests/rotate

# How long the rotation of a database user takes that eight hosts log in with.
rotate-time: build
	@SCENES=mysql_app_8 KILLS=none MUSTER_REAL=1 $(GO) test -v -count=1 -timeout 30m ./tests/rotate

# Some nights of drift checks: what they find, and what is sent to whom.
night:
	@tests/night.sh

test-long: build
	@bash -c '. tests/setup.sh; tools qemu-aarch64-static:qemu-user-static'
	@$(GO) test -tags long -count=1 -timeout 60m ./tests/dist
	@MUSTER_LAB_TEST=1 $(GO) test -tags long -count=1 -timeout 20m -run Ubuntu ./tests/lab
	@MUSTER_ALL_CUTS=1 tests/real.sh kinds
	@for flavor in mariadb mariadb-11 mysql; do \
		echo "== $$flavor"; FLAVOR=$$flavor MUSTER_SHOW=1 MUSTER_REAL=1 $(GO) test -count=1 -timeout 60m -run Cluster ./tests/mysql || exit 1; \
	done
	@for run in mariadb/backup mariadb/dump mysql/clone mysql/dump; do \
		echo "== $$run, killed"; FLAVOR=$${run%/*} METHOD=$${run#*/} KILL=all MUSTER_REAL=1 $(GO) test -v -count=1 -timeout 60m -run Killed ./tests/mysql || exit 1; \
	done
	@TIMES=1 SIZE=1024 MUSTER_REAL=1 $(GO) test -v -count=1 -timeout 60m -run ByHand ./tests/mysql
	@SCENES=mysql_app_8 KILLS=none MUSTER_REAL=1 $(GO) test -v -count=1 -timeout 60m ./tests/rotate
	@SCENES=mysql_app_apply KILLS=all KILLS_LOG=bin/rotate-kills.md MUSTER_REAL=1 $(GO) test -v -count=1 -timeout 120m ./tests/rotate
	@SCENES=mysql_app_mysql9 KILLS=all KILLS_LOG=bin/rotate-kills.md MUSTER_REAL=1 $(GO) test -v -count=1 -timeout 120m ./tests/rotate
	@KILLS=all KILLS_LOG=bin/rotate-kills.md MUSTER_REAL=1 $(GO) test -v -count=1 -timeout 240m ./tests/rotate
