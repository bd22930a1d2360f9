"""Generated clips: small, real files of every kind a camera or an editor makes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np


@dataclass
class Seen:
    """What a player would find in a file."""

    pixels: list[np.ndarray]
    pts: list[int]
    durations: list[int]
    time_base: Fraction
    rotation: int
    tags: tuple[int, int, int, int]
    aspect: Fraction | None
    packets: dict[int, list[tuple[bytes, Fraction, Fraction]]]
    kinds: list[str]

    @property
    def seconds(self) -> list[float]:
        return [float(pts * self.time_base) for pts in self.pts]


def look(path: Path) -> Seen:
    """Frames as RGB, and the packets of the other streams: bytes, begin and length in seconds."""
    with av.open(str(path)) as container:
        video = container.streams.video[0]
        others = [s for s in container.streams if s.type in ("audio", "subtitle")]
        seen = Seen([], [], [], video.time_base or Fraction(0), 0, (0, 0, 0, 0), None, {}, [])
        seen.aspect = video.sample_aspect_ratio
        seen.kinds = [f"{s.type}/{s.codec_context.name}" for s in [video, *others]]
        seen.packets = {s.index: [] for s in others}
        for packet in container.demux([video, *others]):
            if packet.stream.index != video.index:
                if packet.size:
                    times = [
                        Fraction(ticks or 0) * packet.time_base for ticks in (packet.pts, packet.duration)
                    ]
                    seen.packets[packet.stream.index].append((bytes(packet), times[0], times[1]))
                continue
            for frame in packet.decode():
                seen.tags = (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)
                seen.rotation = frame.rotation
                seen.pts.append(frame.pts)
                seen.durations.append(frame.duration)
                matrix = {1: "ITU709", 9: "BT2020"}.get(frame.colorspace, "ITU601")
                full = "JPEG" if frame.color_range == 2 else "MPEG"
                rgb = frame.format.is_rgb
                colors = {} if rgb else {"src_colorspace": matrix, "src_color_range": full}
                seen.pixels.append(frame.reformat(format="rgb24", **colors).to_ndarray())
    return seen


def corners(height: int, width: int, index: int = 0) -> np.ndarray:
    """A picture whose quarters tell its orientation, and whose blue its number."""
    pixels = np.zeros((height, width, 3), np.uint8)
    pixels[: height // 2, : width // 2, 0] = 200
    pixels[: height // 2, width // 2 :, 1] = 200
    pixels[..., 2] = 40 + index * 5 % 160
    return pixels


def make_clip(
    path: Path,
    frames: int = 12,
    size: tuple[int, int] = (48, 64),
    *,
    codec: str = "libx264",
    format: str = "yuv420p",
    pts: Sequence[int] | None = None,
    time_base: Fraction = Fraction(1, 12800),
    rotation: int = 0,
    mirrored: bool = False,
    aspect: Fraction | None = None,
    tags: tuple[int, int, int, int] = (2, 0, 2, 2),
    options: dict[str, str] | None = None,
    audio: bool = False,
    subtitles: Sequence[tuple[bytes, int, int]] = (),
    muxing: dict[str, str] | None = None,
) -> Path:
    """A clip at 25 frames per second of `corners`; `size` is height and width as stored.

    Of subtitles text, begin and duration (ms) are given; the audio is AAC noise as long as the clip.
    """
    height, width = size
    usual = round(Fraction(1, 25) / time_base)
    times = list(pts) if pts is not None else [index * usual for index in range(frames)]
    settings = {"crf": "4", "preset": "ultrafast", **(options or {})} if codec == "libx264" else options or {}
    with av.open(str(path), "w", container_options=muxing or {}) as output:
        output.metadata["title"] = "A film"
        video = output.add_stream(codec, rate=25, options=settings)
        video.width, video.height, video.pix_fmt = width, height, format
        context = video.codec_context
        context.time_base = time_base
        if aspect is not None:
            context.sample_aspect_ratio = aspect
        context.colorspace, context.color_range, context.color_primaries, context.color_trc = tags
        if rotation or mirrored:
            video.set_display_rotation(rotation, hflip=mirrored)
        sound = output.add_stream("aac", rate=44100) if audio else None
        text = output.add_mux_stream("subrip", time_base=Fraction(1, 1000)) if subtitles else None
        output.start_encoding()
        for number, begin, length in subtitles:
            packet = av.Packet(number)
            packet.stream, packet.time_base = text, Fraction(1, 1000)
            packet.pts = packet.dts = begin
            packet.duration = length
            output.mux(packet)
        sounds = [] if sound is None else _noise(sound, len(times))
        colors = {"dst_colorspace": {1: "ITU709", 9: "BT2020"}.get(tags[0], "ITU601")}
        colors["dst_color_range"] = "JPEG" if tags[1] == 2 else "MPEG"
        for index, ticks in enumerate(times):
            frame = av.VideoFrame.from_ndarray(corners(height, width, index), format="rgb24")
            frame = frame.reformat(format=format, **colors)
            frame.pts, frame.time_base = ticks, time_base
            output.mux(video.encode(frame))
            while sounds and sounds[0].pts * sounds[0].time_base <= ticks * time_base:
                output.mux(sounds.pop(0))
        output.mux([*video.encode(None), *sounds])
    return path


def _noise(stream: Any, frames: int) -> list[Any]:
    """Packets of AAC noise as long as so many frames."""
    samples = np.random.default_rng(0).uniform(-0.1, 0.1, (1, 44100 * frames // 25)).astype(np.float32)
    tone = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
    tone.sample_rate, tone.pts = 44100, 0
    return [*stream.encode(tone), *stream.encode(None)]
