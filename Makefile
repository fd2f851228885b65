PYTHON ?= python3
RUN = .venv/bin/
export OMP_NUM_THREADS ?= 1

PETSC = --with-fc=0 --with-cxx=0 --with-debugging=0 --with-x=0 --with-cuda=0 --with-make-np=2 --COPTFLAGS=-O2

TESTS = tests

.PHONY: demo docs metrics petsc test test-elsewhere test-all test-cluster test-faults fuzz coverage bench lint clean

.venv/ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(RUN)pip install -q --disable-pip-version-check -c constraints.txt torch==2.13.0
	$(RUN)pip install -q --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@$(RUN)python hpc/check_machine.py
	@touch $@

demo: .venv/ready
	$(RUN)mpiexec -n 2 $(RUN)python -m mpi4py -m cases.cooled_blade --out demo

# compiles for about 20 minutes on two cores and needs BLAS and LAPACK: apt-get install libopenblas-dev; the wheels in build/wheels are kept
petsc: .venv/ready
	MPICC=$(CURDIR)/.venv/bin/mpicc MPIEXEC=$(CURDIR)/.venv/bin/mpiexec PETSC_CONFIGURE_OPTIONS="$(PETSC)" \
		$(RUN)pip wheel -c constraints.txt -w build/wheels --no-deps petsc
	$(RUN)pip install -c constraints.txt --no-deps --no-index -f build/wheels petsc
	MPICC=$(CURDIR)/.venv/bin/mpicc PIP_FIND_LINKS=$(CURDIR)/build/wheels $(RUN)pip wheel -c constraints.txt -w build/wheels --no-deps petsc4py
	$(RUN)pip install -c constraints.txt --no-deps --no-index -f build/wheels petsc4py

# two processes, a file of tests in one of them
test: .venv/ready
	$(RUN)python -m pytest -n 2 --dist loadfile

# the suite in random order, without HOME and in the C locale, in a folder whose name has a space
test-elsewhere: .venv/ready
	mkdir -p "build/a place"
	env -u HOME LANG=C LC_ALL=C PYTHONHASHSEED=16 TMPDIR="$(CURDIR)/build/a place" $(RUN)python -m pytest -p tests.shuffled $(TESTS)

test-all: .venv/ready
	$(RUN)python -m pytest -m 'slow or not slow'

.bench/ready: .venv/ready hpc/bench/requirements.txt
	$(PYTHON) -m venv .bench
	$(RUN)python -c "import site; print(site.getsitepackages()[0])" > "$$(.bench/bin/python -c 'import site; print(site.getsitepackages()[0])')/ours.pth"
	.bench/bin/pip install -q --disable-pip-version-check -c constraints.txt -r hpc/bench/requirements.txt
	.bench/bin/pip install -q --disable-pip-version-check -c constraints.txt --ignore-installed --no-deps mpich  # mpi4py looks for MPI in its own prefix
	@touch $@

test-cluster: .venv/ready
	tests/cluster/install.sh
	timeout 900 $(RUN)python -m pytest -m cluster tests/cluster

test-faults: .venv/ready
	$(RUN)python -m pytest -s -m 'slow or not slow' tests/faults

fuzz: .venv/ready
	$(RUN)python -m tests.faults.fuzz
	$(RUN)python -m tests.faults.fuzz_files

CORE = tests/test_archive.py tests/test_collect.py tests/test_pilot.py tests/test_submit.py tests/faults/test_hostile.py tests/faults/test_solver_faults.py

# branches of the store, its journals, claims and archives that no test takes
coverage: .venv/ready
	$(RUN)coverage erase
	$(RUN)coverage run -m pytest -m 'slow or not slow' $(CORE)
	$(RUN)coverage combine -q
	$(RUN)coverage report

bench: .bench/ready
	.bench/bin/python -m hpc.bench $(BENCH)

# words, density and hops of the package beside those of four others, read from their wheels
metrics: .venv/ready
	$(RUN)pip download -q --disable-pip-version-check --no-deps --only-binary :all: -d build/peers scikit-fem tinygp pyamg pymor
	$(RUN)python -m tests.metrics build/peers

docs: .venv/ready
	$(RUN)pip install -q --disable-pip-version-check -c constraints.txt -e '.[docs]'
	$(RUN)python -m sphinx -W -q -b html docs build/docs
	@echo "the site is in build/docs/index.html"

lint: .venv/ready
	$(RUN)ruff format --check .
	$(RUN)ruff check .
	$(RUN)mypy

clean:
	rm -rf .venv .bench demo build *.egg-info
