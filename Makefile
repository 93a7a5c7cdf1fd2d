# `make help` lists what there is. Everything is set up in ignored folders of this checkout: .cache (tools), bin, out.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3

# The lab and the tests find their tools here.
export DROVER_TOOLS := $(CURDIR)/.cache

BENCHES := bench-freeze test-scale performance
.PHONY: $(BENCHES) record help setup setup-lab setup-pg15 setup-promtool setup-web setup-lint build demo lab test fuzz test-tree test-freeze test-faults \
	test-faults-random test-web lint cover clean

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## install every pinned tool into .cache; a no-op once done
	@$(PYTHON) tools/setup.py all

setup-lab:
	@$(PYTHON) tools/setup.py lab

# Without it the tests' stage against PostgreSQL 15 fails, and the others run.
setup-pg15:
	-@$(PYTHON) tools/setup.py pg15

# Without it the tests' stage of the alert rules is left out, which is said.
setup-promtool:
	-@$(PYTHON) tools/setup.py promtool

setup-lint:
	@$(PYTHON) tools/setup.py lint

build: ## build bin/drover and bin/lab
	@mkdir -p bin
	@$(PYTHON) tools/setup.py build

# demo and lab replace their shell by the lab itself (exec): Ctrl-C reaches it directly, and it takes down what it started.
demo: setup-lab build ## run the whole story in the lab: twelve customers moved, some of them back; ends with the score board and a report
	@exec bin/lab demo

lab: setup-lab build ## start the lab, leave it up and print its addresses; Ctrl-C ends it
	@exec bin/lab up

test: setup-lab setup-pg15 setup-promtool ## unit, conformance, replay and end-to-end tests with -race; prints coverage at the end
	@exec tools/test.sh

fuzz: ## each fuzz target for a minute: plans, customers files, VMDKs, manifests, checkpoints
	@exec tools/fuzz.sh 60

test-tree: setup-lab ## the last pass over a tree of 200,000 files, there and back, on a real object store: what it may cost (half an hour)
	DROVER_TREE=200000 go test -count=1 -timeout 3h -v -run TestTheLastPassOverALargeTree ./replication/files

test-freeze: setup-lab ## a connection that is lost, or hangs, at each statement of a freeze, there and back (ten minutes)
	DROVER_FREEZE=whole go test -count=1 -timeout 1h -v ./test/freeze

test-faults: setup-lab ## the fault matrix: every fault at every point of a Move and of what goes on beside it; goes on where it was interrupted (90 minutes)
	go run ./test/faults

test-faults-random: setup-lab ## random series of Moves, commands and faults over eight customers, for ten minutes
	go test -count=1 -timeout 1h -v -run TestNoSeriesOfMishapsBreaksAnything ./test/faults -faults.for=10m -rapid.checks=100000

record: setup-lab ## record anew, from a lab, the histories that today's workflows are held to (five minutes); run it where a workflow's commands changed
	go test -count=1 -timeout 20m -v -run TestTheHistoriesToReplayAreRecorded ./test/kill -record $(CURDIR)/workflows/testdata/replay
	go test -count=1 -run TestRecordedHistoriesReplay ./workflows

test-web: ## the board: its pages in a real Chromium, and 500 viewers on 10,000 customers
	@exec tools/test-web.sh

setup-web: ## install Chromium from Debian's packages, for the board's tests (as root)
	apt-get update -q && apt-get install -q -y --no-install-recommends chromium fonts-dejavu-core

lint: setup-lint ## formatting, linters, import rules, workflow determinism
	@exec tools/lint.sh

bench-freeze: setup-lab ## how long customers cannot write, beside the bare SQL; writes out/freeze.json and docs/performance.md
	go run ./bench/freeze
	@$(MAKE) --no-print-directory performance

test-scale: setup-lab ## plans of up to ten thousand customers, with a worker killed; writes out/scale.json and docs/performance.md (an hour)
	go run ./bench/scale
	@$(MAKE) --no-print-directory performance

performance: ## write docs/performance.md from the results in out/
	go run ./bench/report

cover: test ## the same, then coverage by function in out/coverage.txt and by line in out/coverage.html
	go tool cover -func=out/coverage.out >out/coverage.txt
	go tool cover -html=out/coverage.out -o out/coverage.html

clean: ## remove what builds and runs made, but for the tools in .cache
	rm -rf bin out
