"""`fast-nst VERB ...`: one verb, one function; nothing but argument handling."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fast_nst import __version__
from fast_nst.errors import UserError
from fast_nst.outcome import exit_code
from fast_nst.terminal import OK, SKIPPED, USER_ERROR, fail, prepare_output


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns the exit code, as `exit_code` says."""
    arguments = sys.argv[1:] if arguments is None else arguments
    prepare_output()
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s")
    logging.getLogger("fast_nst").setLevel(logging.INFO)
    logging.getLogger("PIL").setLevel(logging.CRITICAL)  # what it finds wrong, it raises as well
    warnings.filterwarnings("ignore", module="PIL")  # each bad picture is reported by us
    verb, rest, function = _choose(arguments)
    return exit_code(verb, lambda: _usage(verb) if function is None else function(rest))


def _choose(
    arguments: list[str],
) -> tuple[str, list[str], Callable[[list[str]], int] | None]:
    """The longest verb the arguments start with, what follows it, and its function."""
    for words in (2, 1):
        verb = " ".join(arguments[:words])
        if len(arguments) >= words and verb in COMMANDS:
            return verb, arguments[words:], COMMANDS[verb]
    return " ".join(arguments[:1]), arguments[1:], None


def _usage(verb: str) -> int:
    if verb == "--version":
        print(__version__)
        return OK
    lines = [f"  fast-nst {name:18} {function.__doc__}" for name, function in COMMANDS.items()]
    text = "\n".join(["usage: fast-nst VERB ...", "", *lines, "", "fast-nst VERB --help says more"])
    if verb in ("--help", "-h", "help"):
        print(text)
        return OK
    if not verb:
        print(text, file=sys.stderr)
        return USER_ERROR
    return fail(f"there is no command {verb!r}: try fast-nst --help", USER_ERROR)


def _parse(verb: str, options: type, arguments: list[str], positional: str = "") -> tuple[Any, Any]:
    from fast_nst.arguments import parse  # jsonargparse takes a moment

    return parse(verb, options, arguments, COMMANDS[verb].__doc__ or "", positional)


def _train(arguments: list[str]) -> int:
    """train styles: --style PICTURE|FOLDER [--content DIR|HUB-ID|builtin] [--config YAML]"""
    from accelerate import PartialState

    from fast_nst.config import TrainConfig
    from fast_nst.training.style import train

    _, config = _parse("train", TrainConfig, arguments)
    folder = train(config)
    if PartialState().is_main_process:
        print(folder / "model.onnx")
    return OK


def _stylize(arguments: list[str]) -> int:
    """stylize pictures, videos, folders, globs and pipes: INPUT... --model NAME|FILE [--output PATH]"""
    from fast_nst.runtime.batch.options import StylizeOptions

    inputs, options = _parse("stylize", StylizeOptions, arguments, "inputs")
    from fast_nst.stylize_command import run_stylize

    return run_stylize(inputs, options)


def _sheet(arguments: list[str]) -> int:
    """one picture in every style that ships, on one sheet: PICTURE [--model NAME|FILE,...] [--output FILE]"""
    from fast_nst.runtime.sheet import SheetOptions, write_sheet

    pictures, options = _parse("sheet", SheetOptions, arguments, "picture")
    if len(pictures) != 1:
        raise UserError("sheet takes one picture")
    print(write_sheet(Path(pictures[0]), options))
    return OK


def _demo(arguments: list[str]) -> int:
    """a local web page for pictures, webcam and video: [--model NAME|FILE,...] [--port PORT|--static DIR]"""
    from fast_nst.runtime.demo.options import DemoOptions

    _, options = _parse("demo", DemoOptions, arguments)
    if options.static is not None:
        from fast_nst.runtime.demo.website import write_website  # needs no extra

        print(write_website(options.static, options))
        return OK
    from fast_nst.runtime.demo.server import run_demo  # after --help, which needs no extra

    run_demo(options)
    return OK


def _live(arguments: list[str]) -> int:
    """a camera in a style, as a camera for other programs: --model NAME|FILE --virtual-camera [NAME]"""
    from fast_nst.runtime.live.options import LiveOptions

    _, options = _parse("live", LiveOptions, arguments)
    from fast_nst.live_command import live

    live(options)
    return OK


def _serve(arguments: list[str]) -> int:
    """stylize pictures over HTTP: [--model NAME|FILE,...] [--host HOST] [--port PORT]"""
    from fast_nst.runtime.serve.options import ServeOptions

    _, options = _parse("serve", ServeOptions, arguments)
    from fast_nst.runtime.serve.server import serve  # after --help, which needs no extra

    serve(options)
    return OK


def _optimize(arguments: list[str]) -> int:
    """stylize one picture by optimizing its pixels: CONTENT STYLE --output FILE"""
    from fast_nst.per_image.file import optimize_file
    from fast_nst.per_image.optimize import OptimizeConfig

    pictures, config = _parse("optimize", OptimizeConfig, arguments, "pictures")
    if len(pictures) != 2:
        raise UserError("optimize takes two pictures: the content and the style (or 'strokes')")
    optimize_file(Path(pictures[0]), pictures[1], config)
    print(config.output)
    return OK


def _backbone_train(arguments: list[str]) -> int:
    """train the custom VGG19 as a classifier, to be a loss network: --data.source DATA"""
    from accelerate import PartialState

    from fast_nst.backbone.config import BackboneConfig
    from fast_nst.backbone.train import train_backbone

    _, config = _parse("backbone train", BackboneConfig, arguments)
    folder = train_backbone(config)
    if PartialState().is_main_process:
        print(folder / "model.safetensors")
    return OK


def _backbone_evaluate(arguments: list[str]) -> int:
    """accuracy of a trained backbone: RUN|FILE --source DATA | --test PICTURES"""
    from fast_nst.backbone.evaluate import EvaluateBackbone, evaluate_backbone

    sources, options = _parse("backbone evaluate", EvaluateBackbone, arguments, "backbone")
    if len(sources) != 1:
        raise UserError("backbone evaluate takes one run folder or model.safetensors")
    print(evaluate_backbone(Path(sources[0]), options))
    return OK


def _export(arguments: list[str]) -> int:
    """write the ONNX file of a trained run, or one in another form: RUN|CHECKPOINT|MODEL [--output FILE]"""
    from fast_nst.arguments import ExportOptions

    sources, options = _parse("export", ExportOptions, arguments, "run")
    if len(sources) != 1:
        raise UserError("export takes one run folder, model.safetensors, ONNX file or name of a model")
    from fast_nst.twins.export import export_file  # onnxruntime

    path, found = export_file(sources[0], options)
    print(path)
    if found:
        logging.getLogger("fast_nst").info("%s", found)
    return OK


def _import(arguments: list[str]) -> int:
    """write the ONNX file of a network of pytorch/examples' fast_neural_style: FILE [--output DIR|FILE]"""
    from fast_nst.arguments import ImportOptions

    sources, options = _parse("import", ImportOptions, arguments, "weights")
    if len(sources) != 1:
        raise UserError("import takes one file of weights")
    from fast_nst.old_weights import import_weights  # torch

    path, parity = import_weights(Path(sources[0]), options)
    print(path)
    logging.getLogger("fast_nst").info("%s", parity.in_words("torch and ONNX Runtime"))
    return OK


def _push(arguments: list[str]) -> int:
    """put a model on the Hugging Face Hub, to be named hf://OWNER/NAME: RUN|MODEL OWNER/NAME [--private]"""
    from fast_nst.runtime.push import PushOptions, push

    names, options = _parse("push", PushOptions, arguments, "names")
    if len(names) != 2:
        raise UserError("push takes a model and where it goes: fast-nst push RUN|MODEL OWNER/NAME")
    print(push(names[0], names[1], options))
    return OK


def _evaluate(arguments: list[str]) -> int:
    """scorecard of networks: MODEL... --style PICTURE --content DIR (losses), --stability, --artefacts"""
    from fast_nst.evaluation.options import EvaluateOptions
    from fast_nst.evaluation.quality import measure_quality
    from fast_nst.evaluation.scorecard import as_markdown, write_scorecard
    from fast_nst.files import check_writable

    models, options = _parse("evaluate", EvaluateOptions, arguments, "models?")
    check_writable(options.output / "scorecard.json")
    losses = None
    if options.style is not None:
        from fast_nst.evaluation.evaluate import evaluate

        losses = evaluate(models, options)
    measured = measure_quality(models, options) if options.stability or options.artefacts else None
    print(as_markdown(losses, measured))
    logging.getLogger("fast_nst").info("wrote %s", write_scorecard(options, losses, measured))
    skipped = [reason for card in (losses, measured) if card is not None for reason in card.skipped]
    for reason in dict.fromkeys(skipped):
        print(f"skipped {reason}", file=sys.stderr)
    return SKIPPED if skipped else OK


def _benchmark(arguments: list[str]) -> int:
    """latency, throughput and memory of networks, in turns: MODEL... [--sizes 512,720p] [--threads 1,2]"""
    from fast_nst.benchmark.networks import BenchmarkOptions, benchmark

    models, options = _parse("benchmark", BenchmarkOptions, arguments, "models")
    return _show_benchmark(benchmark(models, options), options)


def _benchmark_training(arguments: list[str]) -> int:
    """images/s of a training and its share of the hardware's peak: [--config YAML] [--variants ...]"""
    from fast_nst.benchmark.throughput import TrainingBenchmark, benchmark_training

    _, options = _parse("benchmark training", TrainingBenchmark, arguments)
    return _show_benchmark(benchmark_training(options), options)


def _show_benchmark(report: Any, options: Any) -> int:
    print(report.to_json() if options.json else report.to_markdown())
    if options.output is not None:
        report.write(options.output)
    for reason in report.skipped:
        print(f"skipped {reason}", file=sys.stderr)
    return SKIPPED if report.skipped else OK


def _models(arguments: list[str]) -> int:
    """list the styles that ship, or show what model files say of themselves: [MODEL...]"""
    from fast_nst.arguments import ModelsOptions
    from fast_nst.runtime.listing import model_lines, shipped_lines
    from fast_nst.runtime.models import find_model

    names, _ = _parse("models", ModelsOptions, arguments, "models?")
    for lines in (model_lines(find_model(name)) for name in names) if names else [shipped_lines()]:
        print(*lines, sep="\n")
    return OK


COMMANDS: dict[str, Callable[[list[str]], int]] = {
    "train": _train,
    "stylize": _stylize,
    "sheet": _sheet,
    "demo": _demo,
    "live": _live,
    "serve": _serve,
    "optimize": _optimize,
    "export": _export,
    "import": _import,
    "push": _push,
    "evaluate": _evaluate,
    "benchmark": _benchmark,
    "benchmark training": _benchmark_training,
    "models": _models,
    "backbone train": _backbone_train,
    "backbone evaluate": _backbone_evaluate,
}


if __name__ == "__main__":
    sys.exit(main())
