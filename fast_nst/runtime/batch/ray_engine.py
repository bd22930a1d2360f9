"""The batch job of `fast-nst stylize --engine ray`: Ray Data maps files over processes and machines.

Each worker loads the model once and takes small groups of files. A group whose worker died is given to
another; as results appear whole or not at all and always the same, doing a file again does no harm.
"""

from __future__ import annotations

import logging
import math
import os
import pickle
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import ray
import ray.data
import ray.exceptions
from tqdm import tqdm

from fast_nst.errors import UserError, one_line
from fast_nst.lists import comma_separated
from fast_nst.pictures import KEEP, UnreadablePicture
from fast_nst.runtime.batch.jobs import Job
from fast_nst.runtime.batch.one import BAD_INPUT, check_timed, choose_style, skip_reason, stylize_file
from fast_nst.runtime.batch.options import KEPT, Report, Result, StylizeOptions
from fast_nst.runtime.batch.ray_session import ray_session
from fast_nst.runtime.batch.remote import (
    RemoteJob,
    RemotePlan,
    Store,
    check_puts,
    delivered,
    fetched,
    plan_remote,
    remove_unfinished,
)
from fast_nst.runtime.models import find_model
from fast_nst.runtime.stylizer import Stylizer
from fast_nst.runtime.video.media import Kind, is_gif_name, kind_of

logger = logging.getLogger("fast_nst")

_GROUP = 16  # pictures: enough to hide Ray's few milliseconds, few enough to do again
_DEATHS = 2  # of workers, that a file may be the cause of
_AT_ONCE = 2  # files in a worker: one in the model, one being read, decoded, encoded or written
_GIVE_UP = 50  # files in a row that no worker could read or write: the store is gone or full


def stylize_on_ray(
    inputs: list[str], options: StylizeOptions, told: Callable[[Result], None] = lambda result: None
) -> Report:
    """Stylize files, folders and patterns at fsspec URLs or local paths, on Ray.

    Results that exist are left alone unless `options.overwrite` is true. In a process that has started
    Ray already that is used, and left running. `told` is called with every result when all are done.

    Raises UserError before any work for inputs, an output or a model that will not do and a Ray that
    does not start; later when nothing can be read or written any more. Raises Interrupted on SIGINT or
    SIGTERM; the same call then does the rest.
    """
    if options.fps is not None:
        raise UserError("--fps is for a video made of pictures, which --engine ray does not make")
    plan = plan_remote(
        inputs,
        str(options.output),
        options.format,
        keep=not options.overwrite,
        keep_alpha=options.alpha == KEEP,
    )
    model = find_model(options.model, options.style)
    options = replace(options, style=model.style)
    check_timed(((job.source, job.kind) for job in plan.jobs), options)
    # A bad one is found here, not by every worker.
    choose_style(Stylizer(model.path, threads=1, providers=["cpu"]), options)
    report = Report(unread=plan.unread, told=told)
    for folder, reason in plan.refused:
        report.add(Result(folder, skipped=reason))
    for name in plan.kept:
        report.add(Result(None, name, style=options.style, skipped=KEPT))
    if plan.kept:
        logger.info("%d of %d are there already", len(plan.kept), len(plan.kept) + len(plan.jobs))
    if not plan.jobs:
        return report
    check_puts(plan.store, plan.output)
    tag = uuid.uuid4().hex
    results: dict[int, _Result] = {}
    try:
        with (
            ray_session(_address(options)),
            tqdm(total=len(plan.jobs), unit="file", disable=None, delay=1) as bar,
        ):
            _warn_of_local_paths(plan)
            tries = ray.remote(num_cpus=0, max_restarts=-1, max_task_retries=-1)(_Tries).remote()
            make = _Make(plan.store, tag, options, ray.put(model.path.read_bytes()), str(model.path), tries)
            for result in _run(plan, make):
                results[result.number] = result
                bar.update()
    finally:
        with suppress(UserError):  # a store that does not answer has been told of
            remove_unfinished(plan.store, plan.output, tag)  # by now no worker is left
    for number, job in enumerate(plan.jobs):
        report.add(_told(results[number], job, plan.store, options.style))
    return report


@dataclass(frozen=True)
class _Result:
    """What became of the file of a job, by its number; crosses processes as a row."""

    number: int
    status: str
    """written; skipped: the file is at fault; failed: a store is; fatal: no file will do."""
    reason: str


@dataclass(frozen=True)
class _Make:
    """What a worker needs."""

    store: Store
    tag: str
    options: StylizeOptions
    model: Any
    """Reference to the file's bytes: the machines need not have the file."""
    name: str
    tries: Any
    """Handle of the one _Tries."""


class _OneAtATime(Stylizer):
    """Files of a worker overlap, but the memory is that of one run."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._lock = threading.Lock()

    def __call__(self, image: Any, **more: Any) -> Any:
        with self._lock:
            return super().__call__(image, **more)


class _Tries:
    """What workers began and did not end; a process that outlives them."""

    def __init__(self) -> None:
        self._begun: Counter[str] = Counter()

    def begin(self, what: str) -> int:
        """How often it was begun before, and never ended."""
        self._begun[what] += 1
        return self._begun[what] - 1

    def end(self, what: str) -> None:
        """What killed a worker was something else."""
        del self._begun[what]


class _Worker:
    """Stylizes groups of files; lives in a process of its own, which Ray starts anew when it died."""

    def __init__(self, make: _Make) -> None:
        self._make = make
        self._loading = threading.Lock()
        self._loaded: Stylizer | None = None

    def __call__(self, rows: dict[str, np.ndarray]) -> dict[str, list[Any]]:
        numbers, jobs = rows["number"].tolist(), [pickle.loads(job) for job in rows["job"]]
        if self._begin(f"group of {numbers[0]}") == 0:
            with ThreadPoolExecutor(_AT_ONCE) as pool:
                results = list(pool.map(self._do, numbers, jobs))
        else:  # its worker died: one by one, to find out which file it is that kills workers
            results = [self._do_alone(number, job) for number, job in zip(numbers, jobs, strict=True)]
        return {field.name: [getattr(result, field.name) for result in results] for field in fields(_Result)}

    def _begin(self, what: str) -> int:
        return int(ray.get(self._make.tries.begin.remote(what)))

    def _do_alone(self, number: int, job: RemoteJob) -> _Result:
        if self._begin(f"file {number}") >= _DEATHS:
            return _Result(number, "skipped", "workers died of it; not enough memory? Try a smaller --size")
        result = self._do(number, job)
        ray.get(self._make.tries.end.remote(f"file {number}"))
        return result

    def _do(self, number: int, job: RemoteJob) -> _Result:
        try:
            stylizer = self._stylizer()
        except UserError as error:
            return _Result(number, "fatal", str(error))
        names: dict[str, str] = {}
        store, tag = self._make.store, self._make.tag
        try:
            with (
                fetched(job.store, job.source, tag) as source,
                delivered(store, job.target, tag) as made,
            ):
                names = {str(source): job.store.name(job.source), str(made): store.name(job.target)}
                _check_kind(source, job.kind)
                problem = stylize_file(stylizer, Job(source, made, job.kind), self._make.options)
            return _Result(number, "written", problem or "")
        except BAD_INPUT as error:
            status, reason = "skipped", skip_reason(error)
        except UserError as error:
            status, reason = "failed", str(error)
        except Exception as error:  # one file must not end a job of millions
            status, reason = "failed", f"{type(error).__name__}: {error}"
        for path, name in names.items():
            reason = reason.replace(path, name)
        return _Result(number, status, one_line(reason))

    def _stylizer(self) -> Stylizer:
        # Not at the start: a worker that dies of it there would be started for ever.
        with self._loading:
            if self._loaded is None:
                options, model = self._make.options, ray.get(self._make.model)
                providers = _providers(options)
                loaded = _OneAtATime(model, threads=options.threads or 1, providers=providers)
                loaded.name = self._make.name
                choose_style(loaded, options)
                self._loaded = loaded
            return self._loaded


def _check_kind(path: Path, kind: Kind) -> None:
    found = kind_of(path)
    if found != kind and not is_gif_name(path):
        reason = f"holds a {found} but is named like a {kind}; --engine ray goes by the name"
        raise UnreadablePicture(str(path), reason)


def _run(plan: RemotePlan, make: _Make) -> Iterator[_Result]:
    """The result of every job, as they come. Raises UserError when no more will do."""
    workers, needs = _workers(make.options)
    kinds = [job.kind for job in plan.jobs]
    group = min(_GROUP, max(1, kinds.count("picture") // (4 * workers)))
    failures = 0
    for kind, size in (("picture", group), ("video", 1)):
        rows = [
            {"number": number, "job": pickle.dumps(job)}
            for number, job in enumerate(plan.jobs)
            if job.kind == kind
        ]
        for result in _map(rows, size, make, workers, needs) if rows else ():
            failures = failures + 1 if result.status == "failed" else 0
            if result.status == "fatal" or failures == _GIVE_UP:
                raise UserError(f"{result.reason}; stopped, the same command does what is missing")
            yield result


def _map(
    rows: list[dict[str, Any]], size: int, make: _Make, workers: int, needs: dict[str, int]
) -> Iterator[_Result]:
    groups = math.ceil(len(rows) / size)
    data = ray.data.from_items(rows, override_num_blocks=groups)
    data.context.enable_progress_bars = False
    data.context.print_on_execution_start = False
    data.context.target_max_block_size = 2**20  # Ray plans its memory by it; the results are names
    pool = ray.data.ActorPoolStrategy(size=min(workers, groups))
    done = data.map_batches(_Worker, fn_constructor_args=[make], batch_size=None, compute=pool, **needs)
    try:
        for row in done.iter_rows():
            yield _Result(**row)
    except (ray.exceptions.RayError, RuntimeError) as error:
        reason = str(error).strip().splitlines()[-1:]  # below a traceback of the worker's
        raise UserError(f"Ray gave up: {one_line(''.join(reason))}") from error


def _workers(options: StylizeOptions) -> tuple[int, dict[str, int]]:
    """How many, and what each asks of Ray."""
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    cores = [int(node.get("CPU", 0)) for node in nodes]
    needs = {"num_cpus": max(1, min(options.threads or 1, max(cores, default=1)))}
    room = sum(count // needs["num_cpus"] for count in cores)
    if {"cuda", "tensorrt"} & set(_providers(options)):
        needs["num_gpus"] = 1
        room = sum(int(node.get("GPU", 0)) for node in nodes)
        if room == 0 and _address(options) is None:
            raise UserError(f"--providers {options.providers}: Ray finds no GPU on this machine")
        if room == 0:
            logger.warning("the Ray cluster has no GPU now; waiting for one")
    return options.workers or max(1, room), needs


def _providers(options: StylizeOptions) -> list[str]:
    # Ray hides GPUs from workers that did not ask for one.
    return comma_separated((options.providers or "cpu").lower())


def _address(options: StylizeOptions) -> str | None:
    return options.ray_address or os.environ.get("RAY_ADDRESS")


def _warn_of_local_paths(plan: RemotePlan) -> None:
    machines = sum(node["Alive"] for node in ray.nodes())
    if machines > 1 and any(store.is_local for store in {plan.store, *(job.store for job in plan.jobs)}):
        logger.warning("%d machines: local paths must mean the same files on all of them", machines)


def _told(result: _Result, job: RemoteJob, output: Store, style: str | None) -> Result:
    source, target = job.store.name(job.source), output.name(job.target)
    if result.status != "written":
        return Result(source, style=style, skipped=result.reason)
    made = Path(target) if output.is_local else target
    return Result(source, made, style=style, damaged=result.reason or None)
