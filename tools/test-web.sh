#!/usr/bin/env bash
# The board's tests that want a browser or a quiet machine: its pages in a real Chromium, and 500
# viewers on a migration of 10,000 customers. `make test-web` calls it.
#
# Without Chromium the pages are left out, which is said; with CI=true that is a failure.
set -euo pipefail
cd "$(dirname "$0")/.."

[[ ${CI:-} == true ]] && export DROVER_BROWSER=required
if ! command -v chromium >/dev/null && ! command -v chromium-browser >/dev/null && ! command -v google-chrome >/dev/null; then
  printf '== the board in a browser: LEFT OUT, there is no Chromium (Debian: apt-get install chromium fonts-dejavu-core)\n'
fi
printf '== the board in a browser\n'
go test -count=1 -timeout 20m ./web
printf '== 500 viewers, 10,000 customers\n'
DROVER_WEB_VIEWERS=500 DROVER_WEB_CUSTOMERS=10000 go test -count=1 -timeout 10m -v -run TestManyViewersOfALargeMigration ./web
