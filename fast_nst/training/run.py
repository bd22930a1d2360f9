"""What goes on around the steps of a training, whichever it is."""

from __future__ import annotations

import logging
import sys
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import NoReturn

import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState
from accelerate.utils import GradientAccumulationPlugin
from torch.utils.tensorboard import SummaryWriter
from tqdm import tqdm

from fast_nst.errors import Interrupted, UserError, one_line
from fast_nst.machine.limits import limited_threads
from fast_nst.stop import StopRequest
from fast_nst.training.folder import writing

logger = logging.getLogger("fast_nst")


def start_accelerator(mixed_precision: str) -> Accelerator:
    """accelerate with a precision of its own, whatever a former run of this process had.

    Raises:
        UserError: the device lacks it.
    """
    threads = limited_threads()
    if threads is not None:
        torch.set_num_threads(threads)  # torch sees no CPU quota
    AcceleratorState._reset_state()
    try:
        accelerator = Accelerator(
            mixed_precision=mixed_precision,
            # Ours to count: else an environment variable would have each loss divided once more.
            gradient_accumulation_plugin=GradientAccumulationPlugin(num_steps=1),
        )
    except ValueError as error:
        raise UserError(f"--mixed-precision {mixed_precision}: {one_line(error)}") from error
    if mixed_precision == "fp16" and accelerator.device.type == "cpu":
        raise UserError("--mixed-precision fp16 needs a GPU; bf16 works on CPUs too")
    return accelerator


class Run:
    """A training between two steps: its progress bar, its TensorBoard and the request to stop it.

    Used as a context. Of several processes, only the main one shows and writes; a request to stop that came
    to any of them is obeyed by all.
    """

    def __init__(
        self,
        name: str,
        done: int,
        steps: int,
        log: Path | None,
        accelerator: Accelerator | None = None,
        images: int | None = None,
    ) -> None:
        """Open the curves and the bar.

        Args:
            name: shown before the bar.
            done: steps that were done before.
            steps: steps there are in all.
            log: folder whose `tensorboard` the curves go into, less those behind ``done``. None: no curves.
            accelerator: of a training in several processes.
            images: what a step takes; the bar counts them. None: it counts steps.
        """
        self._accelerator = accelerator
        self.main = accelerator is None or accelerator.is_main_process
        self._done = done
        self._per_step = images or 1
        self._stop = StopRequest()
        self._stack = ExitStack()
        self.writer: SummaryWriter | None = None
        if log is not None and self.main:
            with writing(log):
                self.writer = SummaryWriter(str(log / "tensorboard"), purge_step=done + 1)
        self.progress = tqdm(
            total=steps * self._per_step,
            initial=done * self._per_step,
            unit="it" if images is None else "img",
            desc=name,
            disable=None if self.main else True,
        )

    def __enter__(self) -> Run:
        if self.writer is not None:
            self._stack.callback(self.writer.close)
        self._stack.enter_context(self.progress)
        self._stack.enter_context(self._stop)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def tell_config(self, text: str) -> None:
        """The resolved YAML among the curves of a run that begins."""
        if self.writer is not None and self._done == 0:
            self.writer.add_text("config", f"```yaml\n{text}```", 0)

    def at(self, step: int) -> None:
        """Move the bar to where so many steps are done."""
        self.progress.update(step * self._per_step - int(self.progress.n))

    def show(self, text: str) -> None:
        """Behind the bar."""
        self.progress.set_postfix_str(text, refresh=False)

    def say(self, message: str) -> None:
        """A line on stderr, above the bar where there is one."""
        logger.info(message) if self.progress.disable else self.progress.write(message, file=sys.stderr)

    def log(self, group: str, values: Mapping[str, float], step: int) -> None:
        """Curves, one for each value."""
        if self.writer is not None:
            for name, value in values.items():
                self.writer.add_scalar(f"{group}/{name}", value, step)

    def stopping(self) -> int:
        """The signal's number if any process was asked to stop, else 0; the same in every process."""
        number = self._stop.signal or 0
        if self._accelerator is not None and self._accelerator.num_processes > 1:
            numbers = self._accelerator.gather(torch.tensor([number], device=self._accelerator.device))
            number = int(numbers.max())
        return number

    def leave(self, signal: int, where: str) -> NoReturn:
        """End because of a signal, when the state is saved."""
        raise Interrupted(signal, f"stopped at {where}, state saved: go on with --resume")
