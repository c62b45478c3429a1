# The two commands are `make demo` and `make test`; both set everything up by themselves.
PYTHON ?= python3
OTHER_PYTHON ?= python3.13
BIN := .venv/bin
TIMESCALE := otc_assets_tests/timescale/node_modules
# Dagster reads how it is set up from dagster.yaml here. What it keeps lies in the home (OTC_HOME), or in
# PostgreSQL where DAGSTER_POSTGRES_URL names a database.
export DAGSTER_HOME := $(CURDIR)$(if $(DAGSTER_POSTGRES_URL),/deploy)

# Materializations of a range are stored by the thousand, not one by one.
export DAGSTER_EVENT_BATCH_SIZE ?= 1000

ALL_FIXTURES := NMS Tier 1|2025-05-02...OTC|2025-07-04
# The demo has a home of its own, and no setting of yours reaches it.
DEMO_HOME := .otc/demo
DEMO_SETTINGS := OTC_HOME=$(CURDIR)/$(DEMO_HOME) DAGSTER_HOME=$(CURDIR) DAGSTER_POSTGRES_URL= \
	OTC_DATABASE_URL= OTC_SOURCE= OTC_SOURCE_URL= OTC_ARCHIVE_URL= OTC_FEATURES_URL= OTC_PAGE_URL= \
	OTC_DAGSTER_DIR= OTC_NOTIFY_URL= OTC_API_TOKEN=
# The day on which FINRA had published all fixture weeks, and no more.
DEMO_DAY := 2025-08-05
# Dagster does assets in one command only if they have the same partitions: what is told, which, and their range.
materialize = echo "  $(1) ..." && { $(DEMO_SETTINGS) $(BIN)/dagster asset materialize -m otc_assets.definitions \
	--select '$(2)' --partition-range '$(3)' >> $(DEMO_HOME)/demo.log 2>&1 || { tail -40 $(DEMO_HOME)/demo.log; exit 1; }; }

.PHONY: demo demo-ui serve ui monitor test test-python test-feast test-wheel test-image test-monitoring test-celery test-timescale monitoring-picture chaos chaos-short lint check format bench bench-full docs fixtures migration clean

demo: .venv/installed ## every asset over the fixture weeks, from the command line
	@$(DEMO_SETTINGS) $(BIN)/otc migrate
	@mkdir -p $(DEMO_HOME) && ln -sfn ../../fixtures $(DEMO_HOME)/source
	@echo "Materializing every asset over 94 slices (a minute, or a little more):"
	@: > $(DEMO_HOME)/demo.log
	@$(call materialize,60 slices of weeks,tag:grain=week,$(ALL_FIXTURES))
	@$(call materialize,4 of dealers in months,tag:dataset=monthly_non_ats,2025-05-01|NMS...2025-06-01|OTC)
	@$(call materialize,4 of blocks in months,tag:dataset=ats_blocks or tag:dataset=otc_blocks,2025-05-01...2025-06-01)
	@$(call materialize,26 of short sales in days,tag:grain=day,2025-06-30...2025-08-05)
	@$(DEMO_SETTINGS) $(BIN)/otc status --day $(DEMO_DAY) || true
	@echo "Next: 'make serve' shows the data on http://localhost:8000, 'make demo-ui' Dagster on http://localhost:3000 (log: $(DEMO_HOME)/demo.log)."

demo-ui: .venv/installed ## Dagster's UI of the demo, whatever the shell has set for real data
	$(DEMO_SETTINGS) $(BIN)/dagster dev -p 3000

serve: .venv/installed ## the demo's store as pages and as an HTTP API, on http://localhost:8000
	$(DEMO_SETTINGS) $(BIN)/otc serve

ui: .venv/installed ## Dagster's UI on http://localhost:3000, of the home that is set
	@$(BIN)/otc migrate
	$(BIN)/dagster dev -p 3000

monitor: .venv/installed ## Prometheus, Alertmanager and the exporter of the home that is set, beside `make ui`
	@$(BIN)/python -m deploy.prometheus.monitor

test: .venv/installed ## all tests, on SQLite and on a real PostgreSQL server
	$(BIN)/pytest -n 2 --dist worksteal

test-python: .venv-python/installed ## the fixtures' fingerprints on another Python (OTHER_PYTHON)
	.venv-python/bin/python -m pytest -k known_fingerprints otc_assets_tests/operations

test-feast: .venv/installed .venv-feast/installed ## Feast's own join over the feature files
	.venv-feast/bin/pytest -W ignore feast

test-wheel: .venv/installed ## the built wheel, in an environment of its own outside the repository
	OTC_TEST_WHEEL=1 $(BIN)/pytest otc_assets_tests/test_wheel.py

test-image: .venv/installed ## what deploy/Dockerfile does, in a folder and an environment of its own
	OTC_TEST_IMAGE=1 $(BIN)/pytest otc_assets_tests/deployment/test_image.py

test-monitoring: .venv/installed ## alert rules and dashboards, on a real Prometheus and Alertmanager
	OTC_TEST_MONITORING=1 $(BIN)/pytest $(addprefix otc_assets_tests/monitoring/test_,prometheus.py held_back.py)

test-celery: .venv/installed ## runs on two Celery workers, which are killed, as is their broker
	OTC_TEST_CELERY=1 $(BIN)/pytest otc_assets_tests/scale

test-timescale: .venv/installed $(TIMESCALE)/installed ## a store on TimescaleDB; needs Node 20
	OTC_TEST_TIMESCALE=1 $(BIN)/pytest otc_assets_tests/timescale

lint: .venv/installed ## format, lint, types and the layers' import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint test ## everything that CI checks

format: .venv/installed
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: .venv/installed ## speed beside a baseline, in a home of its own: a few minutes; RECORD=1 keeps the figures
	$(BIN)/python -m benchmarks $(if $(RECORD),--record)

bench-full: .venv/installed ## the same over a year and over all history: about an hour
	$(BIN)/python -m benchmarks --full $(if $(RECORD),--record)

# Without a warning of the package that carries the PostgreSQL server.
CHAOS = PYTHONWARNINGS='ignore:XDG_RUNTIME_DIR is not set' $(BIN)/python -m chaos
chaos: .venv/installed ## faults by the hundred, for hours: make chaos SEED=7 MINUTES=60
	$(CHAOS) $(if $(SEED),--seed $(SEED)) $(if $(MINUTES),--minutes $(MINUTES))

chaos-short: .venv/installed ## the same in a few minutes
	$(CHAOS) --short $(if $(SEED),--seed $(SEED))

docs: .venv/installed ## write the generated pages and dashboards anew
	$(BIN)/python -m otc_assets.operations.document
	$(BIN)/python -m deploy.prometheus.pages
	$(BIN)/python -m deploy.grafana

monitoring-picture: .venv/installed ## draw docs/operator_dashboard.png anew, from a real Prometheus
	$(BIN)/python -m otc_assets_tests.monitoring.story

fixtures: ## write the fixtures anew (the same bytes)
	$(PYTHON) fixtures/generate.py

migration: .venv/installed ## write a migration for what changed: make migration m="what changes"
	$(BIN)/python -c 'import sys; from otc_assets.warehouse.migrate import write_migration; \
		write_migration(sys.argv[1])' '$(m)'

clean: ## the demo's home, so that it starts anew; no other home is touched
	rm -rf $(DEMO_HOME)

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

.venv-python/installed: pyproject.toml constraints.txt
	$(OTHER_PYTHON) -m venv .venv-python
	.venv-python/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

# PostgreSQL with TimescaleDB, as WebAssembly.
$(TIMESCALE)/installed: otc_assets_tests/timescale/package-lock.json
	cd $(<D) && npm ci --no-audit --no-fund
	touch $@

# An environment of its own: Feast needs pandas below 3.
.venv-feast/installed: feast/constraints.txt
	$(PYTHON) -m venv .venv-feast
	.venv-feast/bin/pip install --quiet --disable-pip-version-check -r feast/constraints.txt
	touch $@
