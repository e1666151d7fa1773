#!/bin/sh
# Removes each guard, one at a time, in a copy of the tree, and runs its test there: it has to fail. What is
# removed, and which test has to notice, stands in tools/guards/*.patch for the protocol, and in
# tools/guards/page/*.patch for who may see the page.
#
#   tools/guards.sh [--json FILE] [NAME...]       NAME: of a patch, without its ending; default: all of the protocol
#   tools/guards.sh --page [--json FILE] [NAME...]       the same for the page
#   tools/guards.sh --hunt [--json FILE] [NAME...]       the same for what only a hunt notices: there the test is a hunt
#
# Ends with an error when a patch does not apply or build, when a test passes without its guard, or when
# it fails with it. CARGO names another program to call instead of cargo.
set -eu

cd "$(dirname "$0")/.."
root=$(pwd -P)
work=$root/target/guards
copy=$work/copy
cargo=${CARGO:-cargo}
patches=$root/tools/guards
binaries="-p shelflife --all-features --lib"
tests=guards::
if [ "${1:-}" = --page ]; then
  patches=$patches/page
  binaries="-p shelflife-admin --all-features --lib --test it"
  tests=
  shift
fi
hunts=
if [ "${1:-}" = --hunt ]; then
  patches=$patches/hunt
  hunts=yes
  shift
fi
json=
if [ "${1:-}" = --json ]; then
  json=${2:?--json needs a file}
  shift 2
fi
[ $# -gt 0 ] || set -- $(cd "$patches" && ls | sed -n 's/\.patch$//p')

rm -rf "$copy"
mkdir -p "$copy"
# With times of now (-m): cargo would take what was built without a guard for what stands here.
git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - | tar -xmf - -C "$copy"
export CARGO_TARGET_DIR="$work/build" RUST_BACKTRACE=0 GIT_CEILING_DIRECTORIES="$work"
cd "$copy"

of() { sed -n "s/^$2: //p" "$patches/$1.patch"; }
built() { $cargo test --locked -q $binaries --no-run >"$work/log" 2>&1; }
run() { $cargo test --locked -q $binaries -- "$@" >"$work/log" 2>&1; }
all() { run $tests; }
one() { run --exact "$1"; }
passed() { grep -q '^test result: ok\. 1 passed' "$work/log"; }
failed() { grep -q '^test result: FAILED\. 0 passed; 1 failed' "$work/log"; }
why() { sed -n '/panicked at/{n;p;q;}' "$work/log"; }
if [ "$hunts" ]; then
  built() { $cargo build --locked -q --release -p shelflife-hunt >"$work/log" 2>&1; }
  one() { "$CARGO_TARGET_DIR/release/shelflife-hunt" $1 >"$work/log" 2>&1; }
  # Each hunt once.
  all() {
    for name in $names; do of "$name" Test; done | sort -u >"$work/hunts"
    while read -r hunt; do
      one "$hunt" </dev/null || return 1
    done <"$work/hunts"
  }
  passed() { grep -q '· violations: 0$' "$work/log"; }
  failed() { grep -q '^VIOLATION of ' "$work/log"; }
  why() { sed -n 's/^VIOLATION of //p' "$work/log" | head -n 1; }
fi
quoted() { printf '"%s"' "$(printf '%s' "$1" | sed 's/\\/\\\\/g; s/"/\\"/g' | tr '\t\n' '  ')"; }

echo "with all guards in place" >&2
names=$*
if ! built || ! all; then
  cat "$work/log" >&2
  echo "the tests of the guards do not pass as they are" >&2
  exit 1
fi

failures=0
rows=
printf '%-10s  %-59s  %s\n' RESULT TEST 'GUARD: HOW IT IS REMOVED'
for name; do
  patch=$patches/$name.patch
  guard=$(of "$name" Guard) test=$(of "$name" Test) removed=$(of "$name" Removed) how=
  if ! git apply "$patch" 2>"$work/log"; then
    result='NO PATCH'
  else
    if ! built; then
      result='NO BUILD'
    elif one "$test"; then
      result='NOT CAUGHT'
      passed || result='NO TEST'
    elif failed; then
      result=caught
      how=$(why)
    else
      result='NO RUN'
    fi
    git apply -R "$patch"
  fi
  if [ "$result" != caught ]; then
    failures=$((failures + 1))
    tail -n 40 "$work/log" >&2
  fi
  printf '%-10s  %-59s  %s\n' "$result" "$test" "$guard: $removed"
  rows="$rows${rows:+,
}  {\"guard\": $(quoted "$guard"), \"removed\": $(quoted "$removed"), \"test\": $(quoted "$test"), \"result\": $(quoted "$result"), \"how\": $(quoted "$how")}"
done

if [ -n "$json" ]; then
  case $json in /*) ;; *) json=$root/$json ;; esac
  printf '[\n%s\n]\n' "$rows" >"$json"
fi
echo "$# removals, $failures not caught" >&2
[ "$failures" = 0 ]
