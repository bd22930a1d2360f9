"""What the containers are filled with: codecs, what each of them carries, and its encoder in libav."""

from __future__ import annotations

import os
from fractions import Fraction

from fast_nst.errors import UserError
from fast_nst.pictures import UnsuitableFormat
from fast_nst.runtime.video.clips import Clip

CODECS = ("h264", "vp9", "av1")
# x264's names; the other encoders have numbers.
PRESETS = ("ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow")
_VP9_SPEEDS, _AV1_PRESETS = (5, 5, 5, 4, 4, 3, 2, 1, 0), (12, 11, 10, 9, 9, 8, 6, 5, 4)
_HOLDS = {"webm": ("vp9", "av1"), "mov": ("h264",), "gif": ()}  # the others hold all of them
# Muxer -> what carries an alpha channel in it, and more than 8 bits.
WITH_ALPHA = {"mov": "prores", "webm": "vp9", "matroska": "vp9", "gif": "gif"}
_DEEP = {"mp4": ("hevc", "av1"), "mov": ("hevc",), "matroska": ("hevc", "av1"), "webm": ("av1",)}
# On stylized frames half of veryfast's time and a sixth of medium's, for 8 and 20 % more bytes at one PSNR.
_H264_PRESET = "superfast"
WITH_CAPTIONS = ("h264",)
_FASTEST = {"av1": 240}  # frames per second that SVT-AV1 takes
_FINEST, _COARSE = {"vp9": 10**9}, Fraction(1, 10**6)  # ticks per second that libvpx takes
# SVT-AV1 4.1 never ends where one side is at most this, and the other more than a superblock.
_HEVC_CRASHES = range(33, 49)  # pixels of width at which x265 4.2 writes beyond its memory
_AV1_NARROW, _AV1_BLOCK = 24, 64


def choose_codec(muxer: str, codec: str | None) -> str:
    """The codec for a container, "gif" for GIF. UserError if it cannot hold the one asked for."""
    if codec is None:
        return {"webm": "vp9", "gif": "gif"}.get(muxer, "h264")
    if codec not in _HOLDS.get(muxer, CODECS):
        holds = " or ".join(_HOLDS[muxer]) or "nothing but its own codec"
        raise UserError(f"--codec {codec}: {muxer} holds {holds}")
    return codec


def fitting_codec(muxer: str, codec: str | None, clip: Clip) -> str:
    """The codec for a clip, where its alpha or its HDR is to be kept one that carries it.

    Raises UnsuitableFormat where the container or the codec asked for cannot carry HDR; of alpha that is
    only known when something transparent comes.
    """
    if clip.opacity and codec in (None, WITH_ALPHA.get(muxer)):
        return WITH_ALPHA.get(muxer) or choose_codec(muxer, codec)
    if not clip.deep:
        return choose_codec(muxer, codec)
    deep = [one for one in _DEEP.get(muxer, ()) if codec in (None, one) and _has_encoder(one)]
    if not deep:
        what = muxer if codec is None else f"{codec} in {muxer}"
        raise UnsuitableFormat(
            f"--hdr keep: {what} does not carry HDR here; write mp4 or mkv without --codec, or leave --hdr"
        )
    return deep[0]


def keeps_pixel_aspect(muxer: str, codec: str) -> bool:
    """Whether a file can say that its pixels are not square.

    H.264 says it in its own data, MP4 and MOV in theirs; PyAV has no way to tell the muxer of WebM
    and Matroska.
    """
    return codec == "h264" or muxer in ("mp4", "mov")


def encoder_for(
    codec: str, quality: int, preset: str | None, steady: bool = True
) -> tuple[str, dict[str, str]]:
    """libav's encoder and its options; quality 75 is each one's usual rate factor.

    Where the frames are not `steady` there are no B-frames: MP4 adds up the times between frames as they
    are decoded. B-frames decode in another order, and with uneven times the sum misses the end.
    """
    factor = 45.5 - 0.3 * quality  # x264's: 95 -> 17, 75 -> 23, 50 -> 30.5
    step = None if preset is None else PRESETS.index(preset)
    if codec == "gif":
        return "gif", {}
    if codec == "prores":
        return "prores_ks", {"profile": "4444"}
    if codec == "vp9":
        speed = {"deadline": "good", "cpu-used": str(3 if step is None else _VP9_SPEEDS[step]), "row-mt": "1"}
        return "libvpx-vp9", {"crf": f"{factor + 8:.0f}", "b": "0", **speed}
    if codec == "av1":
        os.environ.setdefault("SVT_LOG", "1")  # errors only; it prints a page on stderr
        speed = {"preset": str(8 if step is None else _AV1_PRESETS[step])}
        return "libsvtav1", {"crf": f"{factor + 12:.0f}", **speed}
    if codec == "hevc":
        more = {"x265-params": "log-level=error" + ("" if steady else ":bframes=0")}
        return "libx265", {"crf": f"{factor + 5:.1f}", "preset": preset or "fast", **more}
    more = {} if steady else {"bf": "0"}
    return "libx264", {"crf": f"{factor:.1f}", "preset": preset or _H264_PRESET, **more}


def _has_encoder(codec: str) -> bool:
    import av

    try:
        av.codec.Codec(encoder_for(codec, 75, None)[0], "w")
    except av.codec.codec.UnknownCodecError:
        return False
    return True


def pixel_format(codec: str, clip: Clip) -> str:
    """libav's name of what a codec gets."""
    if codec == "gif":
        return "pal8"
    if codec == "prores":
        return "yuva444p10le"
    if clip.opacity:
        return "yuva420p"
    # 4:2:0 plays everywhere, but its sides are even in H.264 and HEVC; 4:4:4 keeps an odd size as it is.
    odd = codec in ("h264", "hevc") and (clip.width % 2 or clip.height % 2)
    return ("yuv444p" if odd else "yuv420p") + ("10le" if clip.deep else "")


def takes_size(codec: str, width: int, height: int) -> bool:
    """False for a size that an encoder does not refuse by itself, and that it hangs or crashes on."""
    if codec == "hevc":
        return width not in _HEVC_CRASHES
    return codec != "av1" or min(width, height) > _AV1_NARROW or max(width, height) <= _AV1_BLOCK


def time_base_for(codec: str, time_base: Fraction) -> Fraction:
    """A clip's ticks, or coarser ones where an encoder counts no finer."""
    return _COARSE if time_base.denominator > _FINEST.get(codec, time_base.denominator) else time_base


def rate_for(codec: str, rate: Fraction) -> Fraction:
    """The frames per second to tell an encoder, which is only a hint: every frame has its own time."""
    return min(rate, Fraction(_FASTEST.get(codec, rate)))
