"""Code points of ITU-T H.273 as files and libav have them, and what libswscale calls the same."""

from __future__ import annotations

FULL, LIMITED = 2, 1  # ranges, as libav counts them
PQ, HLG = 16, 18  # transfer functions
MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9}  # H.273 matrix -> swscale's number for it
# swscale's flags: Lanczos or bicubic | accurate rounding | full chroma interpolation and input.
LANCZOS, BICUBIC, EXACT = 0x200, 0x4, 0x40000 | 0x2000 | 0x4000
