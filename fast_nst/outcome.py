"""How a command ends: its exit code, and one line for what went wrong."""

from __future__ import annotations

import sys
from collections.abc import Callable

from fast_nst.errors import Interrupted, UserError, one_line
from fast_nst.terminal import INTERRUPTED, OK, USER_ERROR, drop_output, fail

EXTRAS = {
    "train": {
        *("torch", "torchvision", "accelerate", "datasets", "tensorboard", "onnxscript"),
        *("safetensors", "skimage", "scipy"),
    },
    "demo": {"anyio", "fastapi", "starlette", "uvicorn", "websockets"},
    "hub": {"huggingface_hub"},
    "live": {"pyvirtualcam"},
    "ray": {"ray", "fsspec", "pyarrow", "pandas"},
    "serve": {"fastapi", "starlette", "pydantic", "uvicorn", "h11", "python_multipart", "prometheus_client"},
}


def exit_code(verb: str, command: Callable[[], int]) -> int:
    """Run a command; returns the exit code.

    0 done, 1 done but something was skipped or damaged, 2 the user has to change something,
    130/143/129 stopped by SIGINT/SIGTERM/SIGHUP with what was done saved.
    """
    try:
        code = command()
        sys.stdout.flush()
        return code
    except Interrupted as stop:
        return fail(one_line(stop), stop.exit_code)
    except UserError as error:
        return fail(one_line(error), USER_ERROR)
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        extras = [extra for extra, packages in EXTRAS.items() if package in packages]
        if not extras:
            raise
        extra = verb if verb in extras else extras[0]
        return fail(f"{verb} needs {error.name}: pip install 'fast-nst[{extra}]'", USER_ERROR)
    except BrokenPipeError:  # the reader of our output left, as `head` does
        drop_output()
        return OK
    except (MemoryError, RuntimeError) as error:
        if not _is_out_of_memory(error):
            raise
        return fail(
            "out of memory: lower --data.batch, or the sizes of crops, pictures and style", USER_ERROR
        )
    except OSError as error:
        drop_output()  # it may be what failed
        where = f"{error.filename}: " if error.filename else ""
        return fail(f"{where}{error.strerror or error}", USER_ERROR)
    except KeyboardInterrupt:
        return fail("interrupted", INTERRUPTED)


def _is_out_of_memory(error: Exception) -> bool:
    """numpy's, torch's on a GPU and torch's on a CPU are of three kinds."""
    text = str(error)
    return (
        isinstance(error, MemoryError)
        or type(error).__name__ == "OutOfMemoryError"
        or "can't allocate memory" in text
    )
