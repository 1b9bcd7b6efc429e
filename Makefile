# Thin lines over terraform, lambroll, pytest and the scripts. `make` prints what there is.
.DEFAULT_GOAL := help
.PHONY: help install demo up down status env plan apply build deploy diff invoke rollback logs \
	secret mysql estate estate-sleep estate-wake phone-key phone-url \
	export export-status export-revoke export-check kpi-check kpi-status kpi-backfill \
	test test-unit explore lint lock bench pictures clean guard base ready browser warm

ENV ?= local
FUNCTION ?=
EVENT ?=
CALLER ?=
MINUTES ?= 10
ARGS ?=
# Of the command line only: a shell has a MAIL, a NAME and a LANGUAGE of its own.
NAME :=
DAY :=
FROM :=
TO :=
QUERY :=
PARAMS :=
MAIL :=
LANGUAGE :=
GZIP :=
JOB :=

export TMPDIR := $(CURDIR)/.local/tmp
export MPLCONFIGDIR := $(CURDIR)/.local/cache/matplotlib
export PYTHONPATH := local
# Each target starts Python, the tests hundreds of times: none compiles anew what one has compiled.
export PYTHONDONTWRITEBYTECODE :=
PYTHON := .venv/bin/python
PYTEST := $(PYTHON) -m pytest
# `eval "$$(…)"` alone would go on where the script inside it failed.
LOAD = lines=$$($(PYTHON) scripts/environment.py '$(ENV)' signed-in) && eval "$$lines"
INIT := terraform -chdir=terraform init -input=false -reconfigure -lockfile=readonly \
	-backend-config=environments/$(ENV).s3.tfbackend >/dev/null

help:
	@awk 'BEGIN { FS = ":.*## " } /^##@/ { printf "\n%s\n", substr($$0, 5) } \
		/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)
	@printf '\nENV is %s unless given; FUNCTION is all of them.\n' '$(ENV)'

##@ The laptop
demo: base ## all of it on this machine, from nothing, with a report at the end
	@$(PYTHON) scripts/demo.py
up: base ## AWS, database and outside world on loopback, provisioned and deployed
	@$(PYTHON) scripts/up.py
down: ## stop the laptop's stack
	@if [ -x $(PYTHON) ]; then $(PYTHON) local/laptop.py down; else echo "Nothing runs."; fi
status: base ## what runs, where, since when
	@$(PYTHON) local/laptop.py status

##@ An environment (ENV=local, staging, production)
env: ready ## lines that a shell can eval, for terraform and lambroll by hand
	@$(PYTHON) scripts/environment.py '$(ENV)'
plan: ready ## what terraform would change
	@$(LOAD) && $(INIT) && \
		terraform -chdir=terraform plan -var-file=environments/$(ENV).tfvars $(ARGS)
apply: guard ready ## provision (ARGS=-auto-approve to be asked nothing)
	@$(LOAD) && $(INIT) && \
		terraform -chdir=terraform apply -var-file=environments/$(ENV).tfvars $(ARGS)
build: ready ## put the zips' contents together in build/
	@$(PYTHON) scripts/build.py $(FUNCTION)
deploy: guard ready ## build and deploy what changed
	@$(PYTHON) scripts/deploy.py '$(ENV)' $(FUNCTION)
diff: ready ## what a deploy would change
	@$(PYTHON) scripts/releases.py '$(ENV)' diff '$(FUNCTION)'
invoke: guard ready ## call one function: FUNCTION=… EVENT=file.json, or the payload on stdin
	@$(PYTHON) scripts/invoke.py '$(ENV)' '$(FUNCTION)' '$(EVENT)'
rollback: guard ready ## put FUNCTION back to its version before
	@$(PYTHON) scripts/releases.py '$(ENV)' rollback '$(FUNCTION)' $(ARGS)
logs: ready ## the last MINUTES=10 of the functions' logs
	@$(PYTHON) scripts/logs.py '$(ENV)' '$(MINUTES)' $(FUNCTION)
mysql: ready ## a client on the laptop's database; elsewhere the tunnel to it
	@$(PYTHON) scripts/mysql.py '$(ENV)'
estate: ready ## what env_scheduler has on and off, and when that changes
	@$(PYTHON) scripts/estate.py '$(ENV)' status
estate-sleep: guard ready ## put the environment to sleep now
	@$(PYTHON) scripts/estate.py '$(ENV)' sleep
estate-wake: guard ready ## wake the environment now
	@$(PYTHON) scripts/estate.py '$(ENV)' wake
phone-key: ready ## show the API key of a CALLER=… of the phone escalation
	@$(PYTHON) scripts/phone_api.py '$(ENV)' key '$(CALLER)'
phone-url: ready ## show where the phone escalation is reached
	@$(PYTHON) scripts/phone_api.py '$(ENV)' url
export: guard ready ## ask for an export: QUERY=users PARAMS='{"since": "2026-01-01"}' MAIL=…
	@$(PYTHON) scripts/exports.py '$(ENV)' send
export-status: ready ## where the export JOB=… stands
	@$(PYTHON) scripts/exports.py '$(ENV)' status
export-revoke: guard ready ## withdraw the link of the export JOB=…
	@$(PYTHON) scripts/exports.py '$(ENV)' revoke
export-check: ready ## try queries of exports on the database (QUERY="users …" PARAMS=…)
	@$(PYTHON) scripts/exports.py '$(ENV)' check
kpi-check: ready ## try KPIs on the database: columns, first rows (NAME="sales …" DAY=2026-11-22)
	@$(PYTHON) scripts/kpi.py '$(ENV)' check --day='$(DAY)' $(NAME)
kpi-status: ready ## rows of a DAY=2026-11-22 on S3 and in BigQuery, and when they came (NAME=…)
	@$(PYTHON) scripts/kpi.py '$(ENV)' status --day='$(DAY)' $(NAME)
kpi-backfill: guard ready ## KPIs of the days FROM=2026-11-01 TO=2026-11-22 (NAME=…)
	@$(PYTHON) scripts/kpi.py '$(ENV)' backfill --from='$(FROM)' --to='$(TO)' $(NAME)
secret: guard ready ## fill the secret NAME=… from standard input
	@$(PYTHON) scripts/secret.py '$(ENV)' '$(NAME)'

##@ The code
test: browser ## every test there is, the laptop's stack included
	@$(MAKE) --silent -j 2 lint warm
	@$(PYTEST) -n 5 --dist=loadgroup --no-loadscope-reorder --durations=20 $(ARGS)
test-unit: base ## the tests that need nothing but Python
	@$(PYTEST) -n 2 --dist=loadgroup tests/unit
explore: base ## the tests of random input, with more of it, and other than last time
	@$(PYTEST) -n 2 -m hypothesis --hypothesis-profile=explore tests/unit tests/sandbox
lint: ready ## style and types
	@.venv/bin/ruff check && .venv/bin/ruff format --check --quiet
	@.venv/bin/mypy
	@terraform fmt -check -recursive
	@find lambroll -name '*sonnet' | xargs .local/bin/jsonnetfmt --test --
bench: ready ## the figures of the README, measured anew
	@$(PYTHON) -m bench
pictures: ready ## the pictures of docs/, taken anew after make demo
	@$(PYTHON) scripts/pictures.py
lock: ready ## lock the libraries that the in-files name
	@scripts/lock
clean: ## stop every stack and remove all that was made here
	@for port in $(patsubst .local/stack-%,%,$(wildcard .local/stack-*)); do \
		MIMAMORI_PORT=$$port $(MAKE) --silent down; done
	@rm -rf .venv .local build .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

install:
	@scripts/install
base: # MariaDB and Python; where lambroll is missing, what needs it builds it beside other steps
	@mkdir -p $(TMPDIR) && scripts/install base >&2
ready: base
	@scripts/install tools >&2
browser: base
	@scripts/install browser >&2
warm: ready # what each of the tests' workers would make by itself at first: zips, byte code
	@$(PYTHON) scripts/build.py >/dev/null && $(PYTEST) --collect-only -qq >/dev/null
guard:
	@test "$(ENV)" != production || test "$(CONFIRM)" = production || \
		{ echo "this changes production: add CONFIRM=production" >&2; exit 1; }
