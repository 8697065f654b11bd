# Short names for the commands of this project; `make help` lists them. CMakePresets.json has the
# builds, tools/ the scripts.

.NOTPARALLEL:  # every recipe bounds its own parallelism
.DEFAULT_GOAL := help
SHELL := /bin/bash

# Installs what is missing. `make SETUP=true ...` skips it.
SETUP ?= tools/setup

# A compiler may take 2 GB: as many jobs as cores and memory allow.
JOBS ?= $(shell cores=$$(nproc); gigabytes=$$(awk '/^MemAvailable/ {print int($$2 / 2e6)}' /proc/meminfo); \
          jobs=$$((gigabytes < cores ? gigabytes : cores)); echo $$((jobs > 1 ? jobs : 1)))

# With a cluster of the user's own there is nothing to install for Kafka.
TEST_KAFKA := $(if $(ANOMALYD_TEST_BROKERS),build,kafka)
DEMO_KAFKA := $(if $(BROKERS),build,kafka)

.PHONY: help
help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

.PHONY: setup
setup: ## Install compiler, libraries, Java and Maven, where they are missing
	@$(SETUP) build kafka

.PHONY: configure
configure:
	@$(SETUP) build
	@[[ -e build/build.ninja ]] || cmake --preset release

.PHONY: build
build: configure ## build/anomalyd and build/anomalyctl
	@cmake --build build -j $(JOBS) --target anomalyd anomalyctl

.PHONY: all
all: configure
	@cmake --build build -j $(JOBS)

.PHONY: test
test: all ## Build all, run every test but the slow ones, Kafka included
	@$(SETUP) $(TEST_KAFKA)
	@ctest --preset release -j $(JOBS) -LE slow

.PHONY: test-slow
test-slow: all ## The tests that take minutes: crashes, outages, what models and gate are good for
	@$(SETUP) $(TEST_KAFKA) scripts
	@ctest --preset release -L '^slow$$' -j $(JOBS) && ctest --preset release -L slow-kafka

.PHONY: demo
demo: build ## Watch it learn a fleet and find faults (DATA=dir ONLY=group,... BROKERS=host:port)
	@$(SETUP) $(DEMO_KAFKA)
	@tools/demo $(if $(DATA),--data "$(DATA)") $(if $(ONLY),--only "$(ONLY)") \
	  $(if $(BROKERS),--brokers "$(BROKERS)")

.PHONY: evaluate
evaluate: need-data build ## Score labelled series, print the quality figures, draw a page (DATA=dir, OUT=dir)
	@build/anomalyctl evaluate --data "$(DATA)" --out "$(or $(OUT),build/evaluation)" --jobs $(JOBS) \
	  --report "$(or $(OUT),build/evaluation)/report.html"

.PHONY: need-data
need-data:
	@[[ -n "$(DATA)" ]] || { echo "make evaluate: DATA is not set; expected the folder of the series" >&2; exit 2; }

.PHONY: bench
bench: build ## Measure speed into build/bench/results.json (PEER=script to compare with, PYTHON=its interpreter)
	@$(SETUP) kafka scripts
	@cmake --build build -j $(JOBS) --target benchmarks
	@tools/bench $(if $(PEER),--peer "$(PEER)") $(if $(PYTHON),--python "$(PYTHON)")

.PHONY: lint
lint: configure ## clang-format, clang-tidy and shellcheck
	@$(SETUP) lint
	@tools/lint

.PHONY: fuzz
fuzz: ## Fuzz every reader of foreign input with libFuzzer (SECONDS=60 each)
	@$(SETUP) build fuzz
	@tools/fuzz $(or $(SECONDS),60)

.PHONY: debug
debug: ## Build and test with the address and undefined-behaviour sanitizers
	@$(SETUP) build
	@cmake --preset debug && cmake --build --preset debug -j $(JOBS) && ctest --preset debug -j $(JOBS)

.PHONY: tsan
tsan: ## Build and test with the thread sanitizer
	@$(SETUP) build
	@cmake --preset tsan && cmake --build --preset tsan -j $(JOBS) && ctest --preset tsan -j $(JOBS)

.PHONY: install
install: build ## Install programs, systemd unit and examples (PREFIX=/usr/local, DESTDIR=)
	@cmake --install build --prefix "$(or $(PREFIX),/usr/local)"

.PHONY: clean
clean: ## Stop every Kafka of this folder and remove build/
	@for pid in build/kafka*/pid build/*/kafka/pid; do \
	  [[ ! -e $$pid ]] || tools/kafka-local down --dir "$${pid%/pid}"; done
	@rm -rf build
