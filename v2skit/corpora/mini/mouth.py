"""A parametric mouth: movements -> anti-aliased frames, vectorised over time."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

SIDE = 96
"""Side of a frame, in the unit of all lengths in this file."""

TEXTURE_SIZE = 2 * SIDE


@dataclass(frozen=True)
class Face:
    """A face and a camera; lengths in 1/96 of the frame's side, tones in [0, 1]. See :func:`random_face`."""

    half_width: float
    upper_lip: float
    lower_lip: float
    skin_tone: float
    lip_contrast: float
    stubble: float
    centre: tuple[float, float]
    roll_radians: float
    light: tuple[float, float]
    blur: float
    noise: float
    pixels: int

    @property
    def pixel(self) -> float:
        """Side of a pixel."""
        return SIDE / self.pixels

    def cover(self, distance: np.ndarray) -> np.ndarray:
        """Coverage of a pixel whose centre is this far inside an edge."""
        return np.clip(distance / self.pixel + 0.5, 0.0, 1.0)


def random_face(speaker: np.random.Generator, take: np.random.Generator, pixels: int = SIDE) -> Face:
    """A face with the properties of a ``speaker``, and those of a ``take``: position, distance, light and camera.

    ``pixels``: side of a frame.
    """
    return Face(
        half_width=float(np.clip(speaker.normal(26.5, 1.2) * take.uniform(0.92, 1.08), 22.5, 30.0)),
        upper_lip=speaker.uniform(5.0, 7.5) * take.uniform(0.9, 1.1),
        lower_lip=speaker.uniform(7.0, 10.5) * take.uniform(0.9, 1.1),
        skin_tone=float(np.clip(speaker.uniform(0.42, 0.68) * take.uniform(0.8, 1.25), 0.32, 0.8)),
        lip_contrast=speaker.uniform(0.12, 0.26) * take.uniform(0.8, 1.2),
        stubble=max(0.0, speaker.uniform(-0.06, 0.06)),
        centre=(take.normal(0.0, 1.8), take.normal(2.0, 1.8)),
        roll_radians=take.normal(0.0, 0.04),
        light=(take.uniform(-0.25, 0.25), take.uniform(-0.2, 0.1)),
        blur=take.uniform(0.4, 0.9),
        noise=take.uniform(0.006, 0.016),
        pixels=pixels,
    )


def draw(tracks: dict[str, np.ndarray], fps: int, face: Face, generator: np.random.Generator) -> np.ndarray:
    """Draw a mouth.

    Args:
        tracks: articulation, one (T,) track for each of ``mini_visemes.PARAMETERS``.
        fps: video frames a second.
        face: whose mouth it is, and how it is lit and filmed.
        generator: utterance of head motion, skin texture and sensor noise.

    Returns:
        uint8 grey pictures (T, P, P), P = ``face.pixels``.
    """
    frames = len(tracks["opening"])
    x, y = _head_coordinates(frames, fps, face, generator)
    shape = {name: track.astype(np.float32)[:, None, None] for name, track in tracks.items()}  # (T, 1, 1)
    drop = shape["opening"] * face.half_width * 0.62  # how far the lips part; the jaw takes most of it
    lips = _lip_contours(x, shape, drop, face)
    image = _skin(x, y, shape, drop, lips, face, generator)
    image = _over(image, lips["mask"](y), _lips(x, y, shape, lips, face, generator))
    image = _over(image, lips["inside"](y), _inside(x, y, shape, drop, lips, face))
    image = image * (1.0 + face.light[0] * x / (SIDE / 2) + face.light[1] * y / (SIDE / 2))
    from scipy.ndimage import gaussian_filter

    image = gaussian_filter(image, (0.0, face.blur / face.pixel, face.blur / face.pixel))
    image += generator.normal(0.0, face.noise, image.shape).astype(np.float32)
    return (np.clip(image, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)


def _head_coordinates(
    frames: int, fps: int, face: Face, generator: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Coordinates of each pixel on the moving face: two (T, P, P) arrays, right of and below the mouth."""
    seconds = np.arange(frames) / fps

    def sway(size: float) -> np.ndarray:
        rates, phases = generator.uniform(0.15, 0.9, (3, 1)), generator.uniform(0.0, 2.0 * np.pi, (3, 1))
        return (size / 3.0 * np.sin(2.0 * np.pi * rates * seconds + phases).sum(axis=0))[:, None, None]

    rows, columns = (np.mgrid[: face.pixels, : face.pixels] - (face.pixels - 1) / 2) * face.pixel
    right, down = columns - face.centre[0] - sway(2.0), rows - face.centre[1] - sway(2.0)
    roll, zoom = face.roll_radians + sway(0.05), 1.0 + sway(0.03)
    x = (right * np.cos(roll) + down * np.sin(roll)) / zoom
    y = (down * np.cos(roll) - right * np.sin(roll)) / zoom
    return x.astype(np.float32), y.astype(np.float32)


def _over(below: np.ndarray, mask: np.ndarray, above: np.ndarray | np.float32) -> np.ndarray:
    return below + mask * (above - below)


def _bump(distance: np.ndarray, width: np.ndarray | float) -> np.ndarray:
    return np.exp(-np.square(distance / width))


def _lip_contours(x: np.ndarray, shape: dict[str, np.ndarray], drop: np.ndarray, face: Face) -> dict:
    """The four edges of the lips over ``x``, and the masks of the lips and of the mouth's inside."""
    half = face.half_width * (1.0 + 0.12 * shape["width"] - 0.26 * shape["rounding"] - 0.05 * shape["opening"])
    inner_half = half * (0.92 - 0.16 * shape["rounding"])
    arch = np.clip(1.0 - np.square(x / half), 0.0, 1.0)
    inner_arch = np.clip(1.0 - np.square(x / inner_half), 0.0, 1.0)
    fullness = np.clip(0.55 + 1.5 * shape["opening"], 0.75, 1.0) + 0.3 * shape["rounding"]  # pressed lips are thin
    upper = face.upper_lip * fullness * np.power(arch, 0.7) * (1.0 - 0.2 * _bump(x, 0.16 * face.half_width))
    lower = face.lower_lip * fullness * (1.0 - 0.4 * shape["tuck"]) * np.power(arch, 0.6)
    top_inner, bottom_inner = -0.32 * drop * inner_arch, 0.68 * drop * inner_arch
    top, bottom = -0.32 * drop * arch - upper, 0.68 * drop * arch + lower
    sides, inner_sides = face.cover(half - np.abs(x)), face.cover(inner_half - np.abs(x))
    return {
        "half": half,
        "top": top,
        "top_inner": top_inner,
        "bottom_inner": bottom_inner,
        "bottom": bottom,
        "mask": lambda y: sides * face.cover(y - top) * face.cover(bottom - y),
        "inside": lambda y: inner_sides * face.cover(np.minimum(y - top_inner, bottom_inner - y) - 0.2),
    }


def _skin(
    x: np.ndarray,
    y: np.ndarray,
    shape: dict[str, np.ndarray],
    drop: np.ndarray,
    lips: dict,
    face: Face,
    generator: np.random.Generator,
) -> np.ndarray:
    """Skin with pores and stubble that move with the jaw, folds, nostrils, and the chin below."""
    from scipy.ndimage import gaussian_filter, map_coordinates

    half = face.half_width
    jaw = 0.7 * drop * np.clip(y / half + 0.3, 0.0, 1.0)
    grain = gaussian_filter(generator.normal(size=(TEXTURE_SIZE, TEXTURE_SIZE)), 0.8).astype(np.float32)
    where = np.stack([y - jaw + TEXTURE_SIZE / 2, x + TEXTURE_SIZE / 2])
    beard = np.clip(0.6 + (y - jaw) / half, 0.0, 1.0) * face.stubble
    image = face.skin_tone * (1.0 + (0.03 + 2.0 * beard) * map_coordinates(grain, where, order=1, mode="reflect"))
    image -= 0.5 * beard * face.skin_tone
    image *= 1.0 - 0.10 * _bump(y - lips["bottom"] - 0.16 * half, 0.16 * half) * _bump(x, 0.6 * half)
    image *= 1.0 - 0.06 * _bump(np.abs(x) - 0.12 * half, 0.06 * half) * _bump(y + 0.7 * half, 0.35 * half)
    fold = np.abs(x) - lips["half"] - 0.3 * half - 0.25 * y + 0.2 * np.square(y) / half
    image *= 1.0 - (0.05 + 0.05 * np.maximum(shape["width"], 0.0)) * _bump(fold, 0.12 * half)
    image *= 1.0 - 0.55 * _bump(np.abs(x) - 0.3 * half, 0.15 * half) * _bump(y + 1.45 * half, 0.13 * half)
    chin = 1.55 * half + 0.7 * drop - 0.25 * np.square(x) / half
    return image * (1.0 - 0.35 * np.clip((y - chin) / 6.0, 0.0, 1.0))


def _lips(
    x: np.ndarray,
    y: np.ndarray,
    shape: dict[str, np.ndarray],
    lips: dict,
    face: Face,
    generator: np.random.Generator,
) -> np.ndarray:
    """A dark upper and a bright lower lip, with creases and a dark seam between them."""
    from scipy.ndimage import gaussian_filter

    tone = face.skin_tone - face.lip_contrast * (0.6 + 0.8 * face.skin_tone)
    seam = (lips["top_inner"] + lips["bottom_inner"]) / 2.0
    creases = gaussian_filter(generator.normal(size=64), 0.8).astype(np.float32)
    crease = np.interp(x / lips["half"] * 31.0 + 32.0, np.arange(64), creases).astype(np.float32)
    shine_at = (lips["bottom_inner"] + lips["bottom"]) / 2.0
    shine = (0.12 + 0.08 * shape["rounding"]) * _bump(y - shine_at, 2.2) * _bump(x, 0.45 * lips["half"])
    image = tone * (1.0 - 0.18 * face.cover(seam - y) + 0.05 * crease) + shine
    return image * (1.0 - 0.45 * _bump(np.minimum(y - lips["top_inner"], lips["bottom_inner"] - y), 1.2))


def _inside(
    x: np.ndarray, y: np.ndarray, shape: dict[str, np.ndarray], drop: np.ndarray, lips: dict, face: Face
) -> np.ndarray:
    """The dark of the mouth, the tongue in it, and the teeth before the tongue."""
    half = face.half_width
    light = 0.5 + 0.5 * face.skin_tone
    image = np.full_like(x, 0.09)
    tongue_top = lips["bottom_inner"] - (0.2 + 0.7 * shape["tongue"]) * drop + 0.3 * np.square(x) / half
    image = _over(image, face.cover(y - tongue_top), np.float32(0.38 * light))
    gaps = 1.0 - 0.25 * np.power(np.abs(np.cos(np.pi * x / (0.22 * half))), 24)
    tooth = 0.85 * light * gaps * (1.0 - 0.35 * np.square(x / half))
    upper = face.cover(lips["top_inner"] + 0.26 * half * shape["teeth"] - y) * face.cover(0.72 * half - np.abs(x))
    lower = face.cover(y - lips["bottom_inner"] + 0.2 * half * np.maximum(shape["teeth"] - 0.45, 0.0))
    image = _over(image, lower * face.cover(0.5 * half - np.abs(x)), 0.85 * tooth)
    return _over(image, np.minimum(1.0, 1.6 * shape["teeth"]) * upper, tooth)
