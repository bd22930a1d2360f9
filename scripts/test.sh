#!/usr/bin/env bash
# Sets up .venv in a bare clone and runs the tests; arguments go to pytest.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
. scripts/setup.sh

setup test
.venv/bin/python -m pytest "$@"
