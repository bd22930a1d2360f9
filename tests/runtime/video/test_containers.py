"""What libav tells of a file is taken as it is meant."""

from __future__ import annotations

from pathlib import Path

import pytest
from generated_clips import make_clip

from fast_nst.runtime.video.containers import decoder_of, open_container


@pytest.mark.parametrize("tag", ["alpha_mode", "ALPHA_MODE"])
@pytest.mark.parametrize("codec", ["libvpx", "libvpx-vp9"])
def test_alpha_beside_the_picture_is_decoded_however_its_tag_is_spelled(
    tmp_path: Path, codec: str, tag: str
) -> None:
    options = {"auto-alt-ref": "0"}
    make_clip(tmp_path / "in.webm", 2, codec=codec, format="yuva420p", options=options)
    with open_container(tmp_path / "in.webm") as container:
        stream = container.streams.video[0]
        stream.metadata.pop("alpha_mode", None)
        stream.metadata[tag] = "1"
        decoder = decoder_of(stream)
        frames = [frame for packet in container.demux(stream) for frame in decoder.decode(packet)]
    assert {frame.format.name for frame in frames} == {"yuva420p"}
