#!/usr/bin/env bash
# Runs the tests in stages and prints the coverage of workflows/ and replication/ over both.
# `make test` calls it.
#
#   units        every package but test/..., under the race detector
#   end to end   test/..., one package at a time: each starts a whole lab, and two labs on two
#                cores only time each other out. What runs in the lab is the shipped binary
#                (out/test-bin, by DROVER_BIN), built to record its coverage.
#   PostgreSQL 15  what differs between major versions, on the oldest that tenants are moved
#                  between; the other stages have PostgreSQL 18
#   alert rules    the rules for Prometheus, by promtool
#   fuzz           every fuzz target for ten seconds, which make a minute together
#
# Coverage is recorded as data folders and merged, so that no test runs twice and what one package's
# tests reach of another counts.
set -euo pipefail
cd "$(dirname "$0")/.."

export DROVER_TOOLS="${DROVER_TOOLS:-$PWD/.cache}"
covered=./workflows/...,./replication/...
out=$PWD/out
data=$out/coverage
rm -rf "$data"
mkdir -p "$data/units" "$data/e2e" "$data/binaries"

# The board's pages are tested in a real browser; a machine of a developer may have none.
[[ ${CI:-} == true ]] && export DROVER_BROWSER=required

started=$SECONDS
failed=()
stage() { # stage NAME COMMAND...: runs it, prints how long it took, remembers a failure and goes on
  local name=$1 from=$SECONDS
  shift
  printf '== %s\n' "$name"
  if "$@"; then
    printf '== %s: ok in %d s\n' "$name" $((SECONDS - from))
  else
    printf '== %s: FAILED after %d s\n' "$name" $((SECONDS - from))
    failed+=("$name")
  fi
}

units() {
  # The timeout is a package's. Databases and mock servers start in many of them, on two cores.
  # shellcheck disable=SC2046
  go test -race -timeout 20m -cover -coverpkg="$covered" $(go list ./... | grep -v '/test/') -args -test.gocoverdir="$data/units"
}

end_to_end() {
  export DROVER_BIN=$out/test-bin GOCOVERDIR=$data/binaries
  go test -race -p 1 -timeout 20m -cover -coverpkg="$covered" ./test/... -args -test.gocoverdir="$data/e2e"
}

# Roles that are no superusers cannot subscribe before 16: tests of theirs skip by themselves.
postgres15() {
  local bin=$DROVER_TOOLS/pg15/bin
  if [[ ! -x $bin/postgres ]]; then
    printf 'there is no PostgreSQL 15 in %s: tools/setup.py pg15 brings it\n' "$bin"
    return 1
  fi
  export DROVER_TEST_PG_BIN=$bin
  local moves='EveryTable|TheDestinationOpens|SlotThatIsGone|SubscriptionThatDoes|TenantOfAWriteProbe'
  go test -timeout 20m -run "$moves" ./replication/postgres &&
    go test -timeout 20m -run 'MayBeCutOff|TheSchemaComesAsItIs|DropLeaves' ./replication/postgres/setup &&
    go test -timeout 20m -run 'FindsNothing|ReportsEverything' ./replication/postgres/preflight
}

# A machine of a developer may have no promtool; CI must.
alert_rules() {
  local tool=$DROVER_TOOLS/bin/promtool
  if [[ ! -x $tool ]]; then
    printf 'LEFT OUT: there is no promtool in %s: tools/setup.py promtool brings it\n' "$DROVER_TOOLS/bin"
    [[ ${CI:-} != true ]]
    return
  fi
  "$tool" check rules docs/alerts/*.rules.yml && "$tool" test rules docs/alerts/*.test.yml
}

binaries() {
  mkdir -p "$out/test-bin"
  go build -cover -coverpkg="$covered" -o "$out/test-bin/" ./cmd/drover ./cmd/lab
}

coverage() {
  local dirs="$data/units,$data/e2e,$data/binaries"
  go tool covdata textfmt -i="$dirs" -o="$out/coverage.out"
  go tool covdata percent -i="$dirs" | sed 's/^[[:space:]]*//'
  go tool cover -func="$out/coverage.out" | tail -n 1
}

stage "vet" go vet ./...
stage "build" binaries
stage "unit tests" units
stage "alert rules" alert_rules
stage "fuzz" tools/fuzz.sh 10
stage "PostgreSQL 15" postgres15
stage "end-to-end tests" end_to_end
stage "coverage of workflows/ and replication/" coverage

if ((${#failed[@]})); then
  printf '== make test: FAILED (%s) after %d s\n' "$(IFS=,; echo "${failed[*]}")" $((SECONDS - started))
  exit 1
fi
printf '== make test: ok in %d s\n' $((SECONDS - started))
