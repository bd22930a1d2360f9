"""The guard against steps that are not finite."""

from __future__ import annotations

import pytest

from fast_nst.errors import UserError
from fast_nst.training.folder import TrainState
from fast_nst.training.guard import MAX_ROLLBACKS, PATIENCE, FiniteGuard


def make() -> tuple[FiniteGuard, TrainState, list[int]]:
    restored: list[int] = []
    state = TrainState(step=40, good_step=30)
    return FiniteGuard(state, lambda: restored.append(state.good_step)), state, restored


def test_single_bad_steps_are_only_skipped() -> None:
    guard, state, restored = make()
    for _ in range(3 * PATIENCE):
        guard.not_finite(searching=False)
        guard.finite()
    assert state.skipped == 3 * PATIENCE
    assert not restored
    assert state.lr_scale == 1


def test_a_streak_rolls_back_and_halves_the_rate_until_it_gives_up() -> None:
    guard, state, restored = make()
    for _ in range(MAX_ROLLBACKS * PATIENCE):
        guard.not_finite(searching=False)
    assert restored == [30] * MAX_ROLLBACKS
    assert state.lr_scale == 0.5**MAX_ROLLBACKS
    for _ in range(PATIENCE - 1):
        guard.not_finite(searching=False)
    with pytest.raises(UserError, match="does not recover"):
        guard.not_finite(searching=False)


def test_a_streak_goes_on_after_resuming_in_the_middle_of_it() -> None:
    guard, state, _ = make()
    for _ in range(PATIENCE - 1):
        guard.not_finite(searching=False)
    restored: list[int] = []
    FiniteGuard(TrainState(**vars(state)), lambda: restored.append(1)).not_finite(searching=False)
    assert restored


def test_fp16_looking_for_its_scale_is_counted_but_not_held_against_the_run() -> None:
    guard, state, restored = make()
    for _ in range(3 * PATIENCE):
        guard.not_finite(searching=True)
    assert state.skipped == 3 * PATIENCE
    assert not restored
