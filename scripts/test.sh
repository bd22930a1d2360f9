#!/usr/bin/env bash
# Sets up .venv in a bare clone and runs the tests, a file to each core; arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/setup.sh

setup test
# One thread to each of the two processes: more would only wait for one another.
OMP_NUM_THREADS=1 .venv/bin/python -m pytest -n 2 --dist loadfile "$@"
