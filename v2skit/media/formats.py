"""Media files are opened here, and nowhere else: only formats that are complete in one file, and no other protocol.

Playlists and scripts (HLS, DASH, ffconcat, SDP, ...) name further files and addresses, which FFmpeg opens, whatever the
suffix of the file. They are not among the formats, nor are numbered pictures and capture devices.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import av

_VIDEO = (
    "3dostr amv asf av1 avi avs2 avs3 cavsvideo dirac dnxhd dv evc flv gxf h261 h263 h264 hevc ipu ivf live_flv m4v "
    "matroska mjpeg mjpeg_2000 mov mpeg mpegts mpegvideo mpjpeg mxf nsv nut nuv obu ogg rm swf vc1 vc1test vvc webm "
    "wtv yuv4mpegpipe"
)
_PICTURES = (
    "apng bmp_pipe dpx_pipe exr_pipe gif gif_pipe ico j2k_pipe jpeg_pipe jpegls_pipe jpegxl_anim jpegxl_pipe pam_pipe "
    "pbm_pipe pgm_pipe png_pipe ppm_pipe qoi_pipe sgi_pipe tiff_pipe webp webp_pipe"
)
_AUDIO = (
    "aac ac3 ac4 aiff amr amrnb amrwb ape au bonk caf dsf dts dtshd eac3 flac g722 gsm ircam latm lc3 loas mlp mp3 mpc "
    "mpc8 nistsphere oma osq paf pvf qcp qoa sbc shn sln sox spdif tak truehd tta voc vqf w64 wav wavarc wsd wv xwma"
)

FORMATS = frozenset(f"{_VIDEO} {_PICTURES} {_AUDIO}".split())
"""FFmpeg's names of the formats that are read."""

_WHITELIST = ",".join(sorted(FORMATS))

MAX_PIXELS = 8192 * 4320
"""Pixels of the largest frame that is decoded: 8K."""


def open_input(file: Path | str | Any, format: str | None = None) -> av.container.InputContainer:
    """Open a media file for demuxing.

    Args:
        file: a path, or a file object.
        format: FFmpeg's name of its format; None: recognised by the content.

    Raises:
        av.ArgumentError: its format is not one of FORMATS.
        av.FFmpegError: it cannot be opened for another reason.
    """
    options = {"format_whitelist": _WHITELIST, "protocol_whitelist": "file", "max_pixels": str(MAX_PIXELS)}
    name = local_name(file) if isinstance(file, (str, Path)) else file
    return av.open(name, "r", format=format, options=options, metadata_errors="replace")


def local_name(path: Path | str) -> str:
    """The path as libraries take it for a local file, never for a URL (``12:30.mp4``) or for standard input (``-``)."""
    path = os.fspath(path)
    return path if path.startswith(os.sep) else f".{os.sep}{path}"
