#!/usr/bin/env bash
# Every check that needs no test run; says them all before it fails. `make lint` calls it.
set -euo pipefail
cd "$(dirname "$0")/.."
bin=$PWD/.cache/bin
# The linter's cache remembers the paths of the checkout that filled it, and reports another
# checkout's problems without its nolint comments.
export GOLANGCI_LINT_CACHE=$PWD/.cache/golangci-lint
failed=()

check() { # check NAME COMMAND...
  local name=$1 from=$SECONDS
  shift
  if "$@"; then
    printf '== %s: ok in %d s\n' "$name" $((SECONDS - from))
  else
    printf '== %s: FAILED after %d s\n' "$name" $((SECONDS - from))
    failed+=("$name")
  fi
}

tidy() { # go.mod says what the code imports, and the sums agree; both without changing a file
  go mod tidy -diff && go mod verify
}

workflow_determinism() { # what a workflow must not call: clocks, randomness, goroutines, maps in order
  local packages
  packages=$(go list ./workflows/... 2>/dev/null)
  [[ -z $packages ]] || "$bin/workflowcheck" $packages
}

imports() { # which room may import which: tools/imports/table.go
  go run ./tools/imports
}

names() { # the style guide's forbidden package names
  local found
  found=$(go list -f '{{.Name}} {{.ImportPath}}' ./... | grep -E '^(util|utils|common|shared|helpers?) ' || true)
  [[ -z $found ]] || { printf 'a package is named for what it does, not: %s\n' "$found"; return 1; }
}

check "tidy" tidy
check "golangci-lint" "$bin/golangci-lint" run ./...
check "imports" imports
check "workflowcheck" workflow_determinism
check "package names" names
check "widths" go run ./tools/widths

if ((${#failed[@]})); then
  printf '== make lint: FAILED (%s)\n' "$(IFS=,; echo "${failed[*]}")"
  exit 1
fi
