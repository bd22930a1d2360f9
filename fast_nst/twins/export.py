"""`fast-nst export`: from a run, weights or an ONNX file to the file that was asked for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import onnx

from fast_nst.arguments import ExportOptions
from fast_nst.errors import UserError
from fast_nst.files import write_whole
from fast_nst.lists import picture_size
from fast_nst.runtime.fold import take_style
from fast_nst.runtime.models import Model, find_model, short_name
from fast_nst.runtime.probe import read_graph
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.twins.forms import Form
from fast_nst.twins.triton import write_repository


@dataclass(frozen=True)
class Exported:
    """A model in the form of `fast_nst.contract`, and what is known of it."""

    model: onnx.ModelProto
    file: Path
    """Where it lies, or belongs if nothing else is said."""
    name: str
    """Short, for people and servers."""
    found: str = ""
    """What its check has found, in words."""


def export_file(source: str, options: ExportOptions) -> tuple[Path, str]:
    """Write what is asked for; the file, or the folder of a server's model, and in words what checks found.

    `source` is a run's folder, a checkpoint, a model.safetensors, an ONNX file, or the name of a shipped
    model or style. Raises UserError where there is no trained network, for a wrong style, for a form that
    paints something else than the file it is made of, and where nothing can be written.
    """
    form, path = form_of(options), Path(source)
    finished = (path / "model.onnx").is_file()
    weights = path.suffix == ".safetensors" or (path.is_dir() and not (options.style and finished))
    found = None if weights else find_model(source, options.style)
    as_trained = weights and options.style is None and form == Form()
    if options.output is None and options.triton is None and not as_trained:
        raise UserError("--output is missing: the file to write, such as --output mine.onnx")
    exported = _of_weights(path, options) if found is None else _of_onnx(found, options, form)
    if form != Form():
        exported = _in_form(exported, form)
    if options.triton is not None:
        return write_repository(options.triton, exported.name, exported.model), exported.found
    target = options.output or exported.file
    if found is not None and target.exists() and target.samefile(exported.file):
        raise UserError(f"--output {target} is the file itself; give another name")
    write_whole(target, exported.model.SerializeToString(), make_folder=True)
    return target, exported.found


def form_of(options: ExportOptions) -> Form:
    """The form that the options name. Raises UserError for a size that is none."""
    layout = options.layout or ("nchw" if options.form == "float" else "nhwc")
    size = None if options.size is None else picture_size(str(options.size), "--size")[::-1]
    return Form(options.form, layout, options.precision, size)


def _of_weights(path: Path, options: ExportOptions) -> Exported:
    from fast_nst.export import build_run  # torch, which ONNX files do without

    target, model, parity = build_run(path, options.opset)
    exported = Exported(model, target, short_name(target), parity.in_words("torch and ONNX Runtime"))
    if options.style is None:
        return exported
    return _one_style(
        Stylizer(model.SerializeToString(), options.style, providers=["cpu"]), exported, options
    )


def _of_onnx(found: Model, options: ExportOptions, form: Form) -> Exported:
    stylizer = Stylizer(found.path, found.style, providers=["cpu"])
    if stylizer.metadata.get("precision") == "fp16" and (found.style is not None or form != Form()):
        raise UserError(f"{found.name} is in fp16 already: give the file that it was made of")
    exported = Exported(read_graph(stylizer.source, stylizer.name), found.path, found.name)
    return exported if found.style is None else _one_style(stylizer, exported, options)


def _one_style(many: Stylizer, exported: Exported, options: ExportOptions) -> Exported:
    model, parity = take_style(many, exported.model, options.opset)
    found = f"{exported.name} with that style differs by at most {parity.worst} gray level"
    return replace(exported, model=model, found=found)


def _in_form(exported: Exported, form: Form) -> Exported:
    from fast_nst.twins.checks import Twin  # onnx's reference takes a moment

    twin = Twin(exported.model, form, exported.name)
    parity = twin.parity()
    about = {entry.key: entry.value for entry in exported.model.metadata_props} | {"parity": parity.to_json()}
    found = parity.in_words("it and the plain file")
    if form.precision == "fp16":
        psnr = twin.psnr()
        about |= {"precision": "fp16", "psnr_db": f"{psnr:.1f}"}
        found = f"{psnr:.1f} dB (PSNR) against fp32 on the worst of ten photographs"
    onnx.helper.set_model_props(twin.model, about)
    return replace(exported, model=twin.model, found=found)
