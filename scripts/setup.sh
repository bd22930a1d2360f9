# Sourced by the other scripts: makes .venv in the clone and installs the extras named in $1 into it.
# Set PYTHON to choose the interpreter.

find_python() {
    local candidate
    for candidate in ${PYTHON:-} python3 python3.13 python3.12 python3.11 python; do
        if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "Python 3.11 or newer is needed; set PYTHON to its path" >&2
    return 1
}

setup() {
    local python
    python=$(find_python)
    if ! [ -x .venv/bin/python ] || ! .venv/bin/python -m pip --version >/dev/null 2>&1; then
        "$python" -m venv .venv
    fi
    # Not quiet on errors, and the same wheels whoever runs it.
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[$1]"
}
