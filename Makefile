# make demo   a project with the default answers: set up, proved, served at http://127.0.0.1:8000
#             SERVE=0 ends after the proof; ANSWERS="auth_style=jwt agent_tools=none" passes on
# make test   the suite for a change; ARGS="-m 'not slow'" passes on, and ARGS=--long runs all of it, as CI
# make matrix  every row of the matrix of answers, generated, set up and proved, and long journeys: a
#             year of updates, a move to a server, older versions, a uv workspace; takes over an hour
# make bench  how fast it is, beside what cannot be avoided; ARGS="--quick" or "--only start" pass on
# make soak   a thousand turns while workers, database and clients are killed, on a project with the
#             default answers; ARGS="--turns 200 --seed 7" and ANSWERS pass on
# make screenshots   takes the README's pictures anew; needs Chromium
# make cast   records a run of `make demo SERVE=0` for the README
# make docs   builds the site of docs/, with its links checked
# make newest  raises every pin to the newest version, beyond the declared bounds
#
# make work   prints the folder of this checkout's environment and of all that is built
#
# That folder is a cache outside the checkout, because Cookiecutter copies a template's whole folder before
# it begins. Nothing is installed anywhere else, and no interpreter is ever downloaded.

PYTHON ?= python3
SERVE ?= 1
ANSWERS ?=
ARGS ?=

TEMPLATE := {{cookiecutter.project_slug}}
PINS := $(TEMPLATE)/constraints.txt constraints.txt
WORK ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/chatkit-template/$(firstword $(shell printf %s '$(CURDIR)' | cksum))
BUILD := $(WORK)/build
ENV := $(WORK)/.venv
RUN := '$(ENV)/bin/python'
# The names of make's targets, in which a space has to be escaped.
empty :=
WORK_TARGET := $(subst $(empty) $(empty),\ ,$(WORK))
TOOLS := $(WORK_TARGET)/.venv/.complete
OWN_UV := $(WORK_TARGET)/.uv/bin/uv
FOUND := $(shell uv --version >/dev/null 2>&1 && command -v uv)
export UV := $(or $(FOUND),$(WORK)/.uv/bin/uv)
export MYPY_CACHE_DIR := $(WORK)/mypy
export RUFF_CACHE_DIR := $(WORK)/ruff
export UV_PYTHON_DOWNLOADS := never

.PHONY: demo test matrix bench soak screenshots cast docs newest lint work

demo: $(TOOLS)
	@for project in '$(BUILD)'/demo/*/; do \
	  [ ! -f "$$project.data/postgres/postmaster.pid" ] || \
	  (cd "$$project" && .venv/bin/python -m app db stop) || :; done
	@[ -z "$$(ls '$(BUILD)/demo' 2>/dev/null)" ] || { rm -rf '$(BUILD)/demo-before' && \
	  mv '$(BUILD)/demo' '$(BUILD)/demo-before' && \
	  echo 'The demo before this one is kept in $(BUILD)/demo-before'; }
	@rm -rf '$(BUILD)/template'
	@mkdir -p '$(BUILD)/demo' '$(BUILD)/template'
	@cp -R cookiecutter.json hooks '$(TEMPLATE)' '$(BUILD)/template/'
	@CHATKIT_SETUP=strict '$(ENV)/bin/cookiecutter' '$(BUILD)/template' --no-input \
	  --keep-project-on-failure --output-dir '$(BUILD)/demo' $(ANSWERS)
	@cd '$(BUILD)'/demo/*/ && echo "The project is in $$PWD" && \
	  { [ '$(SERVE)' = 0 ] || exec .venv/bin/python -m app dev; }

test: $(TOOLS)
	$(RUN) -m pytest --numprocesses auto --dist loadscope --no-loadscope-reorder $(ARGS)

matrix: $(TOOLS)
	$(RUN) -m pytest tests/alone.py
	$(RUN) -m pytest --numprocesses auto --dist loadscope --no-loadscope-reorder \
	  --matrix tests/test_rows.py tests/test_projects.py tests/test_matrix.py tests/journey_*.py $(ARGS)

bench: $(TOOLS)
	$(RUN) -m benchmarks $(ARGS)
	$(if $(ARGS),,$(RUN) -m benchmarks.demo_floor)

soak: $(TOOLS)
	@rm -rf '$(BUILD)/soak'
	@mkdir -p '$(BUILD)/soak/template'
	@cp -R cookiecutter.json hooks '$(TEMPLATE)' '$(BUILD)/soak/template/'
	@'$(ENV)/bin/cookiecutter' '$(BUILD)/soak/template' --no-input --output-dir '$(BUILD)/soak' \
	  project_slug=project setup=skip $(ANSWERS)
	cd '$(BUILD)/soak/project' && $(RUN) -m engine.tests.soak $(ARGS)

screenshots: $(TOOLS)
	$(RUN) tests/screenshots.py

cast: $(TOOLS)
	$(RUN) tests/cast.py

docs: $(TOOLS)
	NO_MKDOCS_2_WARNING=1 '$(ENV)/bin/mkdocs' build --strict --site-dir '$(BUILD)/site'

newest: $(TOOLS)
	@$(RUN) tests/newest.py

lint: $(TOOLS)
	'$(ENV)/bin/ruff' check .
	'$(ENV)/bin/ruff' format --check .
	'$(ENV)/bin/mypy'

work:
	@echo '$(WORK)'

$(TOOLS): pyproject.toml $(PINS) | $(if $(FOUND),,$(OWN_UV))
	'$(UV)' venv --quiet --clear --python '$(or $(UV_PYTHON),>=3.11)' '$(ENV)'
	'$(UV)' pip install --quiet --python $(RUN) --group dev --group template \
	  $(foreach file,$(PINS),--constraint '$(file)')
	@touch '$(ENV)/.complete'

# Where distributions split Python up, pip may be there and ensurepip not.
$(OWN_UV):
	'$(PYTHON)' -m venv --without-pip '$(WORK)/.uv'
	'$(PYTHON)' -m pip --python '$(WORK)/.uv/bin/python' install --quiet --disable-pip-version-check \
	  --constraint '$(TEMPLATE)/constraints.txt' uv
