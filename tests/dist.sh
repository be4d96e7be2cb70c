#!/bin/bash
# What is shipped: muster for each platform that it runs on, alone and in an archive with its manual pages
# and completions, and their sums. It is the same, to the byte, wherever it is made of one
# commit by one Go. docs/dist.md tells of it.
#
#   DIST=FOLDER           where it goes (dist)
#   PLATFORMS="OS/ARCH…"  for which
#   RELEASE_URL           the folder that release.sha256 says the programs are in
#   VERSION, SOURCE_DATE_EPOCH  what git would tell: of a source without its history
set -euo pipefail
cd "$(dirname "$0")/.."
umask 022
export LC_ALL=C TZ=UTC CGO_ENABLED=0
go=${GO:-go}
dist=${DIST:-dist}
platforms=${PLATFORMS:-linux/amd64 linux/arm64 darwin/amd64 darwin/arm64}

# version: the tag v1.2.3 is 1.2.3, and what comes after it 1.2.3-4-gCOMMIT. Without a tag it
# is what the source says, and the commit.
version() {
	local v
	if v=$(git describe --tags --match 'v[0-9]*' --abbrev=12 --dirty 2>/dev/null); then
		echo "${v#v}"
	else
		v=$(sed -n 's/^var Version = "\(.*\)"$/\1/p' internal/view/json.go)
		echo "${v:?the source says no version}-g$(git describe --always --abbrev=12 --dirty)"
	fi
}

version=${VERSION:-$(version)}
epoch=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct)}
mkdir -p "$dist"
dist=$(cd "$dist" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

build() { # OS ARCH FILE
	GOOS=$1 GOARCH=$2 "$go" build -trimpath -buildvcs=false -ldflags="-s -w -X muster/internal/view.Version=$version" -o "$3" ./cmd/muster
}

# Those that are embedded are packed anew: an older make build may have had another packer.
for arch in amd64 arm64; do rm -f "cmd/muster/remotes/linux-$arch.gz" "cmd/muster/remotes/linux-$arch.sum"; done
make --no-print-directory remotes ARCHES="amd64 arm64"

echo "muster $version"
build "$("$go" env GOHOSTOS)" "$("$go" env GOHOSTARCH)" "$work/muster"
mkdir -p "$work/share/man/man1" "$work/share/bash-completion/completions" "$work/share/zsh/site-functions" "$work/share/fish/vendor_completions.d"
"$work/muster" completion bash >"$work/share/bash-completion/completions/muster"
"$work/muster" completion zsh >"$work/share/zsh/site-functions/_muster"
"$work/muster" completion fish >"$work/share/fish/vendor_completions.d/muster.fish"
"$go" run -trimpath -buildvcs=false ./tests/docs/gen man "$work/share/man/man1" "$work/muster" "$(date -u -d "@$epoch" +%F)"

rm -f "$dist"/muster-* "$dist/SHA256SUMS" "$dist/release.sha256"
for platform in $platforms; do
	name=muster-$version-${platform%/*}-${platform#*/}
	build "${platform%/*}" "${platform#*/}" "$dist/$name"
	mkdir -p "$work/$name/bin"
	cp -r "$work/share" "$work/$name/"
	cp "$dist/$name" "$work/$name/bin/muster"
	chmod -R u=rwX,go=rX "$work/$name"
	tar -C "$work" --sort=name --mtime="@$epoch" --owner=0 --group=0 --numeric-owner --format=ustar -cf - "$name" | gzip -9n >"$dist/$name.tar.gz"
	rm -r "${work:?}/$name"
done

cd "$dist"
sha256sum muster-* >SHA256SUMS
{ [ -z "${RELEASE_URL:-}" ] || echo "# $RELEASE_URL"; grep -v '\.tar\.gz$' SHA256SUMS; } >release.sha256
cat SHA256SUMS
