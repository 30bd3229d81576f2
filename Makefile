# make demo   a project with the default answers: set up, proved, served at http://127.0.0.1:8000
#             SERVE=0 ends after the proof; ANSWERS="auth_style=jwt agent_tools=none" passes on
# make test   the whole suite; ARGS="-m 'not slow'" passes on
# make matrix  every row of the matrix of answers, generated, set up and proved, and long journeys: a
#             year of updates, a move to a server, older versions, a uv workspace; takes hours
# make bench  how fast it is, beside what cannot be avoided; ARGS="--quick" or "--only start" pass on
# make soak   a thousand turns while workers, database and clients are killed, on a project with the
#             default answers; ARGS="--turns 200 --seed 7" and ANSWERS pass on
# make screenshots   takes the README's pictures anew; needs Chromium
# make cast   records a run of `make demo SERVE=0` for the README
# make docs   builds the site of docs/ into build/site, with its links checked
# make newest  raises every pin to the newest version, beyond the declared bounds
#
# Nothing is installed outside this folder, and no interpreter is ever downloaded.

PYTHON ?= python3
SERVE ?= 1
ANSWERS ?=
ARGS ?=

TEMPLATE := {{cookiecutter.project_slug}}
PINS := $(TEMPLATE)/constraints.txt constraints.txt
TOOLS := .venv/.complete
FOUND := $(shell uv --version >/dev/null 2>&1 && command -v uv)
export UV := $(or $(FOUND),$(CURDIR)/.uv/bin/uv)
export UV_PYTHON_DOWNLOADS := never

.PHONY: demo test matrix bench soak screenshots cast docs newest lint

demo: $(TOOLS)
	@for project in build/demo/*/; do \
	  [ ! -f "$$project.data/postgres/postmaster.pid" ] || \
	  (cd "$$project" && .venv/bin/python -m app db stop) || :; done
	@rm -rf build/demo build/template
	@mkdir -p build/demo build/template
	@cp -R cookiecutter.json hooks '$(TEMPLATE)' build/template/
	CHATKIT_SETUP=strict .venv/bin/cookiecutter build/template --no-input \
	  --keep-project-on-failure --output-dir build/demo $(ANSWERS)
	@[ '$(SERVE)' = 0 ] || (cd build/demo/*/ && exec .venv/bin/python -m app dev)

test: $(TOOLS)
	.venv/bin/python -m pytest --numprocesses auto --dist loadscope --no-loadscope-reorder $(ARGS)

matrix: $(TOOLS)
	.venv/bin/python -m pytest tests/alone.py
	.venv/bin/python -m pytest --numprocesses auto --dist loadscope --no-loadscope-reorder \
	  --matrix tests/test_rows.py tests/test_projects.py tests/test_matrix.py tests/journey_*.py $(ARGS)

bench: $(TOOLS)
	.venv/bin/python -m benchmarks $(ARGS)
	$(if $(ARGS),,.venv/bin/python benchmarks/demo_floor.py)

soak: $(TOOLS)
	@rm -rf build/soak
	@mkdir -p build/soak/template
	@cp -R cookiecutter.json hooks '$(TEMPLATE)' build/soak/template/
	@.venv/bin/cookiecutter build/soak/template --no-input --output-dir build/soak \
	  project_slug=project setup=skip $(ANSWERS)
	cd build/soak/project && ../../../.venv/bin/python -m engine.tests.soak $(ARGS)

screenshots: $(TOOLS)
	.venv/bin/python tests/screenshots.py

cast: $(TOOLS)
	.venv/bin/python tests/cast.py

docs: $(TOOLS)
	NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --site-dir build/site

newest: $(TOOLS)
	@.venv/bin/python tests/newest.py

lint: $(TOOLS)
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

$(TOOLS): pyproject.toml $(PINS) | $(if $(FOUND),,.uv/bin/uv)
	'$(UV)' venv --quiet --clear --python '$(or $(UV_PYTHON),>=3.11)' .venv
	'$(UV)' pip install --quiet --python .venv/bin/python --group dev --group template \
	  $(foreach file,$(PINS),--constraint '$(file)')
	@touch $@

# Where distributions split Python up, pip may be there and ensurepip not.
.uv/bin/uv:
	'$(PYTHON)' -m venv --without-pip .uv
	'$(PYTHON)' -m pip --python .uv/bin/python install --quiet --disable-pip-version-check \
	  --constraint '$(TEMPLATE)/constraints.txt' uv
