#!/usr/bin/env bash
# The one entrance: a table of verbs. Each is a Go program or a few lines.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"

export CGO_ENABLED=0 PATH="$PATH:/usr/local/go/bin:/usr/sbin:/sbin"

usage() {
	cat <<'TEXT'
./build.sh VERB

  run          build the image and start a virtual register; prints the page's address
  image        build out/disk.img, out/boot.efi, out/release.choba, out/keys
  release ...  bundle and signed repository in out/repository; sign, join, publish, explain: ./build.sh release help
  test         everything that CI runs: image, go vet, all tests (VM tests too)
  bench WHAT   measure, for example: ./build.sh bench boot
  kernel       build only the kernel into the cache (the first time 10 to 20 minutes)
  fuzz [TIME]  run every fuzz test for TIME (default 20s)
  pictures     make the pictures of the documents anew (installs a browser)
  keys         make and show the development keys (INSECURE)
  help         this text

The cache is ${CHOBA_CACHE:-~/.cache/choba}; development keys are in it, too.
TEXT
}

say() { printf '== %s\n' "$*"; }

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# need_packages installs what is missing of the list.
need_packages() {
	local wanted missing
	wanted=$(sed -E 's/[[:space:]].*//; /^(#|$)/d' "image/deps/${1:-debian}.txt")
	missing=$(for p in $wanted; do
		dpkg-query -W -f '${Status}' "$p" 2>/dev/null | grep -q ' installed$' || echo "$p"
	done)
	[ -n "$missing" ] || return 0
	say "installing:" $missing
	as_root apt-get update
	# shellcheck disable=SC2086 # one argument a package
	no_daemons as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $missing
}

# no_daemons runs an installation that starts no server on this machine (policy-rc.d, see invoke-rc.d(8)): the
# tests start their own.
no_daemons() {
	local rule=/usr/sbin/policy-rc.d ours= status=0
	if [ ! -e "$rule" ]; then
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$rule" >/dev/null
		as_root chmod 755 "$rule"
		ours=yes
	fi
	"$@" || status=$?
	[ -z "$ours" ] || as_root rm -f "$rule"
	return "$status"
}

# need_go stops with a plain word: Debian 12's own Go is too old to build this,
# and nothing here fetches a toolchain.
need_go() {
	local want have
	want=$(sed -n 's/^go //p' go.mod)
	have=$(go env GOVERSION 2>/dev/null || true)
	if [ -z "$have" ] || [ "$(printf '%s\n' "$want" "${have#go}" | sort -V | head -n 1)" != "$want" ]; then
		echo "Go $want or later is needed on PATH or in /usr/local/go (found: ${have:-none})." >&2
		echo "Unpack the archive for linux/amd64 from https://go.dev/dl/ to /usr/local/go." >&2
		exit 1
	fi
}

need() { need_packages; need_go; }

image() { say "image"; go run ./image/cmd/image "$@"; }

do_run() { image; say "register"; exec go run ./tests/bench/cmd/bench "$@"; }

# do_release makes the image first when a repository is to be made of it.
do_release() {
	[ "${1:-make}" != make ] || image -bundle
	go run ./image/cmd/release "${@:-make}"
}

do_test() {
	image
	image -with-probe
	say "vet"
	go vet ./...
	say "tests"
	# shellcheck disable=SC2046 # one argument a package
	go test -timeout 30m "$@" $(go list ./... | grep -v /tests/vm$)
	say "tests on the booted image" # by themselves: they share the machine's cores badly
	go test -timeout 50m -parallel 2 "$@" ./tests/vm
	if [ "${CI:-}" = true ]; then
		say "clean tree"
		test -z "$(git status --porcelain)" || { git status --short; exit 1; }
	fi
}

do_fuzz() {
	local time=${1:-20s} dir target
	grep -rlE --include='*_test.go' '^func Fuzz' . | xargs -n 1 dirname | sort -u | while read -r dir; do
		for target in $(grep -hoE '^func Fuzz[A-Za-z0-9_]*' "$dir"/*_test.go | sed 's/^func //'); do
			say "$dir $target"
			go test -run '^$' -fuzz "^$target\$" -fuzztime "$time" -fuzzminimizetime 10x "$dir" </dev/null
		done
	done
}

verb=${1:-help}
[ $# -eq 0 ] || shift
case $verb in
run) need; do_run "$@" ;;
image) need; image "$@" ;;
release) need; do_release "$@" ;;
test) need; do_test "$@" ;;
bench) need; exec go run ./tests/bench/cmd/measure "$@" ;;
kernel) need; exec go run ./image/cmd/kernel "$@" ;;
fuzz) need; do_fuzz "$@" ;;
pictures) need; need_packages pictures; image; exec go run ./tests/bench/cmd/pictures "$@" ;;
keys) need_go; exec go run ./keys/cmd "$@" ;;
help | -h | --help) usage ;;
*) echo "unknown verb: $verb" >&2; usage >&2; exit 2 ;;
esac
