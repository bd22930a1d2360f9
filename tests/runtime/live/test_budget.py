"""The size of live frames follows the times measured; no clock here: the times are given."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from fast_nst.runtime.demo import app
from fast_nst.runtime.live.budget import FIRST, SIDES, TARGET, Budget

MINUTE = 60 * 30  # frames of a camera
Machine = Callable[[int, int], float]  # side and frame number to the share of the time there is


def play(machine: Machine, frames: int, longest: int = 1280) -> tuple[list[int], list[float]]:
    """The size of every frame, and what it took."""
    budget, sides, shares = Budget(), [], []
    for frame in range(frames):
        sides.append(budget.side)
        shares.append(machine(min(budget.side, longest), frame))
        budget.note(shares[-1], longest)
    return sides, shares


def changes(sides: list[int]) -> int:
    return sum(a != b for a, b in pairwise(sides))


def of_speed(share: float) -> Machine:
    """A machine that takes this share at 384, by pixels."""
    return lambda side, frame: share * (side / 384) ** 2


def noisy(machine: Machine, spread: float) -> Machine:
    noise = np.random.default_rng(5).lognormal(0, spread, 100_000)
    return lambda side, frame: machine(side, frame) * noise[frame]


def with_a_cliff(side: int, frame: int) -> float:
    """Time that grows faster than the pixels: 512 is easy, 640 far too much."""
    return 0.3 * (side / 512) ** 2 * (4 if side > 512 else 1)


def on_the_edge(side: int, frame: int) -> float:
    """At 512 a size more is expected to fit well, and it does so barely."""
    return 0.41 if side <= 512 else 0.74


# --- what a person sees --------------------------------------------------------------------------


@pytest.mark.parametrize("share", [0.05, 0.1, 0.3, 0.5, 0.74, 0.76, 1.0, 1.6])
def test_the_largest_size_that_keeps_up_is_found_and_kept(share: float) -> None:
    sides, _ = play(of_speed(share), MINUTE)
    settled = sides[-1]
    assert set(sides[-MINUTE // 2 :]) == {settled}
    assert of_speed(share)(settled, 0) <= TARGET
    above = [side for side in SIDES if side > settled]
    assert not above or of_speed(share)(above[0], 0) > 0.8 * TARGET  # nothing of worth is given away
    assert sides == sorted(sides, reverse=settled < FIRST)  # and it goes there straight


def test_a_machine_that_cannot_keep_up_shows_a_picture_still_good_to_look_at() -> None:
    for share in (2.0, 10.0, 300.0):
        sides, _ = play(of_speed(share), MINUTE)
        assert set(sides[20:]) == {256}


@pytest.mark.parametrize(
    "machine",
    [
        noisy(of_speed(0.75), 0.2),
        noisy(of_speed(0.63), 0.2),
        with_a_cliff,
        noisy(with_a_cliff, 0.3),
        noisy(on_the_edge, 0.2),
    ],
)
def test_it_does_not_flicker_between_two_sizes(machine: Machine) -> None:
    sides, shares = play(machine, 30 * MINUTE)
    assert changes(sides) < 40  # in half an hour
    assert changes(sides[15 * MINUTE :]) <= 4
    assert np.median(shares) <= TARGET


def test_a_hiccup_changes_nothing() -> None:
    sides, _ = play(lambda side, frame: 9.0 if frame % 50 < 3 else 0.74 * (side / 384) ** 2, MINUTE)
    assert set(sides) == {FIRST}


def test_it_gives_way_to_other_work_and_comes_back() -> None:
    begin, end = 600, 1200

    def busy(side: int, frame: int) -> float:
        return (3.0 if begin <= frame < end else 1.0) * 0.6 * (side / 640) ** 2

    sides, _ = play(busy, MINUTE)
    assert sides[begin - 1] == 640
    assert sides[begin + 20] == 384
    assert sides[end - 1] == 384
    assert sides[-1] == 640


def test_no_size_is_larger_than_the_camera_s() -> None:
    assert play(of_speed(0.01), MINUTE, longest=600)[0][-1] == 600
    assert play(of_speed(0.01), MINUTE, longest=4000)[0][-1] == 1280
    assert changes(play(of_speed(90.0), MINUTE, longest=160)[0]) == 0


# --- the demo's page -----------------------------------------------------------------------------

REPLAY = """
import { readFileSync } from "node:fs";
const { Budget } = await import(process.argv[2]);
const films = JSON.parse(readFileSync(0));
const sides = films.map(([shares, longest]) => {
  const budget = new Budget();
  return shares.map((share) => {
    const { side } = budget;
    budget.note(share, longest);
    return side;
  });
});
console.log(JSON.stringify(sides));
"""


def test_the_page_decides_the_same(tmp_path: Path) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("there is no node")
    machines = [(of_speed(0.5), 1280), (of_speed(300.0), 700), (noisy(with_a_cliff, 0.4), 1280)]
    machines += [(noisy(of_speed(share), 0.6), 1000) for share in (0.1, 0.75, 1.2)]
    films = [(play(machine, 5000, longest), longest) for machine, longest in machines]
    given = json.dumps([(shares, longest) for (_, shares), longest in films])
    module = tmp_path / "budget.mjs"  # in .js node sees no module
    module.write_bytes((app.STATIC / "budget.js").read_bytes())
    (tmp_path / "replay.mjs").write_text(REPLAY)
    command = [node, tmp_path / "replay.mjs", module]
    done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout) == [sides for (sides, _), _ in films], done.stderr
    assert len({side for (sides, _), _ in films for side in sides}) > 6
