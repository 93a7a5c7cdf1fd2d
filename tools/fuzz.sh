#!/usr/bin/env bash
# Runs every fuzz target of the product for so many seconds, one after the other, and says what each
# did. `make fuzz` and `make test` call it.
#
#   tools/fuzz.sh SECONDS [NAME]
#
# What a target finds, Go writes into testdata/fuzz of its package. Commit it with the mend: it is a
# test from then on.
set -euo pipefail
cd "$(dirname "$0")/.."

seconds=$1 only=${2:-.}
failed=()
mapfile -t targets < <(grep -rHo --include='*_test.go' '^func Fuzz[A-Za-z0-9]*' . | sed 's|/[^/]*:func | |' | sort)
for target in "${targets[@]}"; do
  package=${target% *} name=${target#* }
  [[ $name =~ $only ]] || continue
  # An input that is new is made small for a number of tries: the minute that Go would take for one
  # is all the time that there is.
  if out=$(go test -run '^$' -fuzz "^$name\$" -fuzztime "${seconds}s" -fuzzminimizetime 10x "$package" 2>&1); then
    printf '%s %s: %s\n' "$package" "$name" "$(grep -o 'execs: [0-9]*' <<<"$out" | tail -n 1)"
  else
    printf '%s\n' "$out"
    failed+=("$name")
  fi
done
if ((${#failed[@]})); then
  printf 'fuzz: %s FAILED\n' "${failed[*]}"
  exit 1
fi
