"""Command-line arguments from option dataclasses, through jsonargparse: `--config YAML`, then flags."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Literal, get_type_hints

import yaml
from jsonargparse import ArgumentError, ArgumentParser, set_parsing_settings

from fast_nst.errors import UserError, one_line


@dataclass
class ExportOptions:
    """What to write."""

    output: Path | None = None
    """The ONNX file. Default: model.onnx beside the weights."""
    style: str | None = None
    """Of a model of many styles, the one or the mixture to write: waves, or waves:0.6,udnie:0.4."""
    form: Literal["uint8", "float"] = "uint8"
    """uint8: pixels in and out; float: pictures in [0, 1], channels first, which many programs take alone."""
    layout: Literal["nhwc", "nchw"] | None = None
    """Channels last or first. Default: nhwc for uint8, nchw for float."""
    precision: Literal["fp32", "fp16"] = "fp32"
    """Of the weights, and of pictures in the float form; fp16 is refused below 45 dB."""
    size: int | str | None = None
    """One picture of this size only, for programs that know no other: 512, 640x360 or 720p. Default: any."""
    triton: Path | None = None
    """Instead of --output: the folder of a Triton model repository to put the file into."""
    opset: int = 22
    """ONNX opset of the file."""

    def __post_init__(self) -> None:
        if self.triton is not None and self.output is not None:
            raise UserError("--triton writes a file of its own: drop --output")


@dataclass
class ImportOptions:
    """What becomes of weights that were trained elsewhere."""

    output: Path | None = None
    """An ONNX file, or a folder for model.onnx, model.safetensors and card.md. Default: FILE.onnx beside the
    weights."""
    license: str = "unspecified"
    """License of the trained network, written into the exported file."""
    attribution: str = ""
    """Who trained it and who made the style picture, written into the exported file."""
    opset: int = 22
    """ONNX opset of the file."""


@dataclass
class ModelsOptions:
    """Nothing to choose."""


class DashedParser(ArgumentParser):
    """Shows `--mixed-precision` where jsonargparse says `--mixed_precision`."""

    def format_help(self) -> str:  # type: ignore[override]
        """The help text with dashes and plain type names."""
        text = re.sub(r"--[\w.]+", lambda m: m[0].replace("_", "-"), super().format_help())
        text = re.sub(r"(?m)^  --output (\w+) {0,4}", r"  -o, --output \1", text)
        text = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text)
        return re.sub(r"(--[\w.-]+) \{true,false(?:,null)?\}", r"\1", text)


def parse(
    verb: str, options: type, arguments: list[str], description: str = "", positional: str = ""
) -> tuple[list[str], Any]:
    """Positional arguments and an ``options`` object.

    Args:
        verb: for the usage line.
        options: a dataclass; its fields' docstrings are the help.
        arguments: what followed the verb. `--some-flag` and `--some_flag` are the same; a yes/no flag
            needs no value, and `--no-flag` turns it off; `-o` is `--output`.
        description: for the help text.
        positional: name of the positional arguments, one or more; with a `?` behind it none or more.

    Raises:
        UserError: an unknown key or flag, or a wrong type; the message names it.
        SystemExit: after --help.
    """
    set_parsing_settings(docstring_parse_attribute_docstrings=True)
    parser = DashedParser(prog=f"fast-nst {verb}", description=description, exit_on_error=False)
    parser.add_argument("--config", action="config", help="YAML file with any of these options")
    if positional:
        nargs = "*" if positional.endswith("?") else "+"
        parser.add_argument("positional", nargs=nargs, type=str, metavar=positional.rstrip("?"))
    parser.add_class_arguments(options)
    if any(field.name == "output" for field in fields(options)):
        arguments = [re.sub(r"^-o(?==|$)", "--output", argument) for argument in arguments]
    normal = _config_first(_normalize(arguments, _flags(options), _names_or_flags(options)))
    try:
        namespace = parser.parse_args(normal)
        values = parser.instantiate(namespace)
    except (ArgumentError, ValueError, TypeError, yaml.YAMLError) as error:
        text = _plain(error).replace("--positional is missing", f"no {positional} given")
        for file in _config_files(normal):
            text = re.sub(
                "Problems parsing config|Unexpected config", f"--config {file} is not a config", text
            )
        raise UserError(f"{verb}: {text}") from error
    given = values.as_dict()
    chosen = {name: getattr(values, name) for name in (field.name for field in fields(options))}
    return list(given.get("positional") or []), options(**chosen)


def _flags(options: type, prefix: str = "--") -> set[str]:
    """The options that are yes or no, those of the dataclasses inside too."""
    found = set()
    for name, kind in get_type_hints(options).items():
        if kind in (bool, bool | None):
            found.add(prefix + name)
        elif is_dataclass(kind) and isinstance(kind, type):
            found |= _flags(kind, f"{prefix}{name}.")
    return found


def _names_or_flags(options: type) -> set[str]:
    """The options that are yes, no or a name: without one behind them they are yes."""
    return {"--" + name for name, kind in get_type_hints(options).items() if kind == bool | str}


def _normalize(arguments: list[str], flags: set[str], names_or_flags: set[str]) -> list[str]:
    """Dashes in option names to underscores; `--flag` to `--flag=true`, `--no-flag` to `--flag=false`."""
    normal: list[str] = []
    for index, argument in enumerate(arguments):
        if not re.match(r"--[a-zA-Z]", argument):
            normal.append(argument)
            continue
        name, equals, value = argument.partition("=")
        name = "--" + name[2:].replace("-", "_")
        if name.startswith("--no_") and "--" + name[5:] in flags and not equals:
            normal.append(f"--{name[5:]}=false")
            continue
        following = arguments[index + 1 : index + 2]
        named = name in names_or_flags and following and not following[0].startswith("-")
        if name in flags | names_or_flags and not (equals or named or following in (["true"], ["false"])):
            equals, value = "=", "true"
        normal.append(name + equals + value)
    return normal


def _config_first(arguments: list[str]) -> list[str]:
    """jsonargparse lets the later win; here flags win over files wherever the files stand."""
    files: list[str] = []
    others: list[str] = []
    for index, argument in enumerate(arguments):
        follows = index > 0 and arguments[index - 1] == "--config"
        (files if follows or argument.partition("=")[0] == "--config" else others).append(argument)
    return files + others


def _config_files(arguments: list[str]) -> list[str]:
    after = [value for flag, value in itertools.pairwise(arguments) if flag == "--config"]
    return after + [a.removeprefix("--config=") for a in arguments if a.startswith("--config=")]


def _plain(error: BaseException) -> str:
    """jsonargparse's message as one line that names the option as the user writes it."""
    text = one_line(error)
    text = re.sub(r"[Pp]arser key \"([\w.]+)\":", lambda m: f"--{m[1]}:", text)
    text = re.sub(r".*the following arguments are required: ([\w.]+).*", r"--\1 is missing", text)
    text = re.sub(r"Subcommand '.*?' does not accept option", "no such option", text)
    text = re.sub(r"<class '(?:\w+\.)*(\w+)'>", r"\1", text)
    text = re.sub(
        r"Does not validate against any of the Union subtypes Subtypes: \[(.*?)(?:, NoneType)?\]"
        r" Errors: .* Given value: (.*)",
        r"expected \1. Got value: \2",
        text,
    )
    text = re.sub(r"typing\.Literal\[(.*?)\]", r"one of \1", text)
    text = text.replace("Expected a one of", "expected one of").replace("Expected a ", "expected ")
    text = re.sub(r"--[\w.]+", lambda m: m[0].replace("_", "-"), text)
    return text.removeprefix("argument ")
