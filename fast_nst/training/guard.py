"""What to do when a loss or gradient is not finite, and data workers when the run is asked to stop."""

from __future__ import annotations

import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass

from fast_nst.errors import UserError
from fast_nst.training.folder import TrainState

logger = logging.getLogger("fast_nst")

PATIENCE = 5  # bad steps in a row before rolling back
MAX_ROLLBACKS = 5
LAST_STEP = 60  # seconds between the request to stop and the state saved, ample


@dataclass
class FiniteGuard:
    """Counts steps that were skipped as not finite; `PATIENCE` in a row go back to the last good state."""

    state: TrainState
    restore: Callable[[], None]
    """Loads weights, averaged weights and optimizer of the last good state."""

    def finite(self) -> None:
        """The step was good."""
        self.state.bad_in_a_row = 0

    def not_finite(self, searching: bool) -> None:
        """The step was bad and has been skipped.

        ``searching``: the loss itself was finite and fp16's scaler still has room to lower its scale,
        which is how it finds it; such steps are counted, but not held against the run.

        Raises:
            UserError: `MAX_ROLLBACKS` roll-backs did not help.
        """
        state = self.state
        state.skipped += 1
        if searching:
            return
        state.bad_in_a_row += 1
        logger.warning("step %d: loss or gradient is not finite, step skipped", state.step)
        if state.bad_in_a_row < PATIENCE:
            return
        if state.rollbacks == MAX_ROLLBACKS:
            raise UserError(
                f"training does not recover: step {state.step} is still not finite after"
                f" {MAX_ROLLBACKS} roll-backs; lower --optimizer.lr or --loss.weights"
            )
        self.restore()
        state.bad_in_a_row = 0
        state.rollbacks += 1
        state.lr_scale /= 2
        logger.warning(
            "step %d: %d bad steps in a row, rolled back to the weights of step %d; learning rate"
            " halved (now %g of the schedule's)",
            *(state.step, PATIENCE, state.good_step, state.lr_scale),
        )


def leave_signals_to_trainer(worker: int) -> None:
    """For data workers: a signal to all processes must not take their work from under the last step.

    After a SIGTERM they live on for `LAST_STEP` seconds at most, so that none is left behind.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, frame: signal.alarm(LAST_STEP))
