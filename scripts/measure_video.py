"""What the video pipeline costs beside the bare model, and whether its memory stays flat.

    python scripts/measure_video.py throughput clip.mp4 --model strokes --frames 60
    python scripts/measure_video.py memory clip.mp4 --model strokes --seconds 60 --size 96
    python scripts/measure_video.py flicker clip.mp4 --model strokes --frames 40 --size 320

`throughput` runs the model alone on decoded frames and `stylize_video` on the file, in turns, and prints
the ratio of the speeds, and the model's share of the CPU time: the ratio where one core does
everything and nothing else. `memory` repeats the clip until it is long enough, stylizes that, and prints
the resident memory along the way. `flicker` prints how much a result changes from frame to frame where
it should only move, without and with --smooth.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from fast_nst import Stylizer
from fast_nst.runtime.video.clips import Wanted
from fast_nst.runtime.video.reader import VideoReader
from fast_nst.runtime.video.smooth import Smoother
from fast_nst.runtime.video.stylize import VideoOptions, stylize_video


def throughput(
    clip: Path, model: str, frames: int, size: int | None, threads: int | None, rounds: int
) -> None:
    """Frames per second of the model alone, of the pipeline, and of the pipeline with --smooth."""
    stylizer = Stylizer(model, threads=threads)
    with VideoReader(clip, Wanted(size=size), lambda stream: False) as reader:
        pixels = [
            step.pixels for step, _ in zip(reader, range(frames), strict=False) if step.pixels is not None
        ]
        end = float(frames / reader.clip.rate)
    stylizer(pixels[0])
    seconds: dict[str, list[tuple[float, float]]] = {"model": [], "pipeline": [], "pipeline --smooth": []}

    def timed(name: str, work: Callable[[], int]) -> None:
        wall, cpu = time.perf_counter(), time.process_time()
        count = work()
        seconds[name].append(((time.perf_counter() - wall) / count, (time.process_time() - cpu) / count))

    with tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            timed("model", lambda: len([stylizer(frame) for frame in pixels]))
            for name in ("pipeline", "pipeline --smooth"):
                options = VideoOptions(size=size, end=end, smooth=name != "pipeline")
                target = Path(folder, "out.mp4")
                timed(name, lambda o=options, t=target: stylize_video(stylizer, clip, t, o).frames)  # type: ignore[misc]
    bare = np.array(seconds["model"])
    for name, values in seconds.items():
        wall, cpu = np.median(np.array(values), axis=0)
        rate, work = 100 * np.median(bare / np.array(values), axis=0)
        print(f"{name:18} {1 / wall:7.2f} frames/s, {rate:5.1f} % of the model's;", end=" ")
        print(f"{1000 * cpu:7.1f} ms of CPU a frame, the model {work:5.1f} % of it")


def memory(clip: Path, model: str, seconds: float, size: int | None, threads: int | None) -> None:
    """Resident memory at tenths of a long clip, from the first tenth on."""
    stylizer = Stylizer(model, threads=threads)
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "long.mp4")
        length = _repeat(clip, source, seconds)
        samples: list[tuple[float, int]] = []
        done = threading.Event()

        def sample() -> None:
            while not done.wait(0.1):
                samples.append((time.perf_counter(), _resident()))

        watcher = threading.Thread(target=sample)
        watcher.start()
        started = time.perf_counter()
        report = stylize_video(stylizer, source, Path(folder, "out.mp4"), VideoOptions(size=size))
        ended = time.perf_counter()
        done.set()
        watcher.join()
    part = (ended - started) / 10
    tenths = [
        max(held for at, held in samples if index * part <= at - started < (index + 1) * part)
        for index in range(1, 10)
    ]
    print(f"{report.frames} frames, {length:.1f} s; MiB by tenths from the second on:")
    print(" ".join(f"{held / 2**20:.0f}" for held in tenths))
    print(f"growth from the second tenth to the last: {100 * (tenths[-1] / tenths[0] - 1):+.1f} %")


def flicker(clip: Path, model: str, frames: int, size: int | None, threads: int | None) -> None:
    """Mean change in gray levels along the motion, where both directions of the flow agree."""
    import cv2

    stylizer = Stylizer(model, threads=threads)
    with VideoReader(clip, Wanted(size=size), lambda stream: False) as reader:
        film = [
            step.pixels for step, _ in zip(reader, range(frames), strict=False) if step.pixels is not None
        ]
    plain = [stylizer(frame) for frame in film]
    smoother = Smoother()
    steadier = [smoother(*pair) for pair in zip(film, plain, strict=True)]
    grays = [cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY) for frame in film]
    for name, results in (("the film", film), ("stylized", plain), ("with --smooth", steadier)):
        changes = []
        for index in range(1, len(film)):
            moved, trust = smoother.move(grays[index - 1], results[index - 1], grays[index])
            change = np.abs(moved.astype(float) - results[index]).mean(-1)
            changes.append(change[trust > 0.99].mean())
        print(f"{name:14} {np.mean(changes):.2f} gray levels")


def _repeat(clip: Path, target: Path, seconds: float) -> float:
    """The clip's video packets over and over, as a file of so many seconds."""
    ticks = 0
    with av.open(str(target), "w") as output, av.open(str(clip)) as first:
        stream = output.add_stream_from_template(first.streams.video[0], opaque=True)
        time_base = first.streams.video[0].time_base or Fraction(1, 1000)
        while ticks * time_base < seconds:
            with av.open(str(clip)) as source:
                last = ticks
                for packet in source.demux(video=0):
                    if packet.pts is None or packet.dts is None:
                        continue
                    packet.pts, packet.dts, packet.stream = packet.pts + ticks, packet.dts + ticks, stream
                    last = max(last, packet.pts + (packet.duration or 1))
                    output.mux(packet)
                ticks = last
    return float(ticks * time_base)


def _resident() -> int:
    """Bytes of this process in memory; Linux only."""
    return 4096 * int(Path("/proc/self/statm").read_text().split()[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("what", choices=("throughput", "memory", "flicker"))
    parser.add_argument("clip", type=Path)
    parser.add_argument("--model", default="strokes")
    parser.add_argument("--size", type=int)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=60)
    given = parser.parse_args()
    if given.what == "throughput":
        throughput(given.clip, given.model, given.frames, given.size, given.threads, given.rounds)
    elif given.what == "flicker":
        flicker(given.clip, given.model, given.frames, given.size, given.threads)
    else:
        memory(given.clip, given.model, given.seconds, given.size, given.threads)


if __name__ == "__main__":
    main()
