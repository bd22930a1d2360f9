"""Models on the Hugging Face Hub: hf://OWNER/NAME, its file, and what can go wrong in one line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from fast_nst.errors import UserError, one_line

SCHEME = "hf://"
FILE = "model.onnx"  # in a repository as in a run's folder
WEIGHTS = "model.safetensors"  # beside it where a run was pushed
_NAME = re.compile(rf"{SCHEME}([^/@:]+/[^/@:]+)(?:@([^:]+))?(?::(.+))?", re.DOTALL)


@dataclass(frozen=True)
class HubName:
    """What hf://OWNER/NAME@REVISION:STYLE means."""

    repository: str
    """OWNER/NAME."""
    revision: str | None = None
    """A branch, a tag or a commit; None: the newest."""
    style: str | None = None


def hub_name(text: str) -> HubName:
    """Take a name apart.

    Raises:
        UserError: it is not of the form hf://OWNER/NAME, with @REVISION and :STYLE behind it if any.
    """
    match = _NAME.fullmatch(text)
    if match is None:
        raise UserError(f"{text!r} is not of the form {SCHEME}OWNER/NAME[@REVISION][:STYLE]")
    return HubName(*match.groups())


def fetch_model(name: HubName) -> Path:
    """The ONNX file of a repository, from the cache where it is the newest or the Hub cannot be reached.

    Raises:
        UserError: no such repository, revision or file, or it is not in the cache and the Hub out of reach.
        ModuleNotFoundError: huggingface_hub is not installed.
    """
    return _fetch(name, [FILE])


def fetch_weights(name: HubName) -> Path:
    """The weights of a repository as they were trained, else its ONNX file; as `fetch_model`."""
    return _fetch(name, [WEIGHTS, FILE])


def _fetch(name: HubName, files: list[str]) -> Path:
    """The first of them that there is."""
    from huggingface_hub import errors, hf_hub_download

    *better, last = files
    with hub_errors(name):
        for file in better:
            with suppress(errors.EntryNotFoundError):
                return Path(hf_hub_download(name.repository, file, revision=name.revision))
        return Path(hf_hub_download(name.repository, last, revision=name.revision))


@contextmanager
def hub_errors(name: HubName) -> Iterator[None]:
    """Whatever huggingface_hub raises within, as a UserError that names the repository."""
    from huggingface_hub import errors
    from huggingface_hub.utils import logging

    what = f"{SCHEME}{name.repository}"
    verbosity = logging.get_verbosity()
    logging.set_verbosity_error()  # or it tells of each of its attempts to connect
    try:
        yield
    except errors.GatedRepoError as error:
        raise UserError(f"{what} is gated: ask for access on its page, log in (hf auth login)") from error
    except errors.RepositoryNotFoundError as error:
        raise UserError(
            f"{what} is not on the Hub, or your token (hf auth login, or HF_TOKEN) does not open it"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise UserError(f"{what} has no revision {name.revision or 'main'}") from error
    except errors.LocalEntryNotFoundError as error:
        reason = one_line(error.__cause__ or error)
        raise UserError(f"{what} is not in the cache, and the Hub cannot be reached ({reason})") from error
    except errors.EntryNotFoundError as error:
        raise UserError(f"{what} holds no {FILE}, so that no fast-nst model was pushed there") from error
    except (
        Exception
    ) as error:  # of its HTTP client, which changes with its version, of the disk, of wrong names
        said = getattr(error, "server_message", None) or error  # without URLs and request numbers
        raise UserError(f"{what}: {one_line(said)}") from error
    finally:
        logging.set_verbosity(verbosity)
