GO          ?= go
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
FUZZTIME    ?= 10s
CHAOS       ?= 45s
CHAOS_SEED  ?= 0
SEEDS       ?= 200
SEED        ?= 1

PLATFORMS   ?= linux/amd64 linux/arm64 darwin/amd64 darwin/arm64

# Go stamps the commit into the commands, and git tells it only if it trusts the owner of
# the checkout.
export GIT_CONFIG_COUNT := 1
export GIT_CONFIG_KEY_0 := safe.directory
export GIT_CONFIG_VALUE_0 := $(CURDIR)

.PHONY: help build test lint fmt demo axe bench bench-quota upgrade quota chaos proof simulate laravel mutants cover fuzz picture third-party release-snapshot clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## build enqueue, worker, campaign and sandbox into bin/
	$(GO) build -o bin/ ./cmd/...

test: ## run every test with the race detector, against a real Redis
	@scripts/need.sh gcc redis-server chromium prometheus systemd
	$(GO) test -race -shuffle=on -timeout=30m ./...
	$(GO) test -timeout=20m -run='^TestHostileFilesTakeLittleMemory$$' ./campaign/contacts

lint: ## check formatting, vet and staticcheck
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "not formatted, run make fmt:"; echo "$$unformatted"; exit 1; } >&2
	$(GO) mod tidy -diff
	$(GO) vet ./...
	GOOS=darwin $(GO) vet ./...
	$(GO) vet -tags=chaos ./internal/chaos
	$(GO) vet -tags=simulate ./internal/simulate
	$(GO) vet -tags=quota ./internal/fleet
	$(GO) vet -tags=axe ./dashboard
	$(GO) vet -tags=laravel ./internal/laravel
	$(GO) run $(STATICCHECK) ./...

fmt: ## format the code
	gofmt -w .

demo: ## rehearse a campaign of 2,000 contacts in about a minute; KEEP=1 leaves the pages up
	@# -m: on a terminal, Ctrl-C ends the demo and not make. 3: not everybody, as meant; make knows no 3.
	@bash $$(test -t 0 && echo -m) -c 'KEEP=$(KEEP) scripts/demo.sh' || test $$? -eq 3

bench: ## run the benchmarks, and print ratios against the baselines
	@scripts/need.sh redis-server
	$(GO) test -run='^$$' -bench=. -benchmem -timeout=1h ./...

bench-quota: ## measure how fully the quota is used
	@scripts/need.sh redis-server
	$(GO) test ./internal/quotasim -count=1 -timeout=60m -v -run=TestGates -full

axe: ## check every page for barriers by axe, in both languages and themes, and take its pictures, in three minutes
	@scripts/need.sh redis-server chromium
	axe=$$(scripts/axe.sh) && AXE=$$axe $(GO) test -tags=axe -count=1 -timeout=15m ./dashboard -run='^TestPagesHaveNoBarriers$$'

quota: ## measure the same in real time, by worker processes, in one to three minutes
	@scripts/need.sh redis-server
	$(GO) test -tags=quota -count=1 -v -timeout=15m ./internal/fleet

chaos: ## kill, freeze and cut everything for CHAOS, as in: make chaos CHAOS=30m CHAOS_SEED=7
	@scripts/need.sh redis-server
	$(GO) test -tags=chaos -count=1 -v -timeout=0 ./internal/chaos -chaos.length=$(CHAOS) -chaos.seed=$(CHAOS_SEED)

proof: ## check the models in proof/, whole and with each guard taken out
	@scripts/need.sh gcc spin
	@proof/run.sh

upgrade: ## run workers of the latest release, or of EARLIER, beside those of this tree
	@scripts/need.sh redis-server
	EARLIER=$(EARLIER) $(GO) test -count=1 -v -timeout=15m ./internal/release -run='^TestAnEarlierVersionRunsBesideThisOne$$'

simulate: ## play SEEDS schedules of faults from SEED on in virtual time, as in: make simulate SEED=7 SEEDS=1
	$(GO) test -tags=simulate -count=1 -v -timeout=0 ./internal/simulate -simulate.seeds=$(SEEDS) -simulate.seed=$(SEED)

laravel: ## run workers against real Laravel behind php-fpm and nginx, in three minutes
	@scripts/need.sh gcc redis-server nginx php-fpm php-redis php-laravel-framework
	$(GO) test -tags=laravel -count=1 -v -timeout=15m ./internal/laravel

mutants: ## check that the tests notice mistakes, in about twenty minutes
	@scripts/need.sh redis-server
	$(GO) run ./internal/mutants

cover: ## print the test coverage of the packages that decide
	@scripts/need.sh redis-server
	$(GO) test -cover ./campaign/... ./jobs/... ./ratelimit/... ./velents/...

fuzz: ## fuzz every fuzz test for FUZZTIME
	@grep -rEo --include='*_test.go' '^func Fuzz[A-Za-z0-9_]+' . | sed 's|/[^/]*:func | |' | \
	while read -r dir name; do \
		echo "$$dir $$name"; \
		$(GO) test -run='^$$' -fuzz="^$$name\$$" -fuzztime=$(FUZZTIME) "$$dir" </dev/null || exit 1; \
	done

picture: ## take the pictures of the README, in about a minute
	@scripts/need.sh curl chromium
	scripts/picture.sh

third-party: ## list the licences of all linked modules in THIRD_PARTY.md
	$(GO) run ./internal/thirdparty >THIRD_PARTY.md.new
	@mv THIRD_PARTY.md.new THIRD_PARTY.md

release-snapshot: ## build archives and packages of this commit for PLATFORMS into dist/
	@scripts/release.sh dist $(PLATFORMS)

clean: ## remove what was built
	rm -rf bin dist
