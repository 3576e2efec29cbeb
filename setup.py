from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = next(
    line.split('"')[1] for line in (HERE / "v2skit/__init__.py").read_text().splitlines() if "__version__ =" in line
)

EXTRAS = {
    # Later mediapipe wheels lack the face mesh; this one declares a jax and a GUI OpenCV that the face mesh
    # does not use, so tools/install.sh installs it without its dependencies, which are these.
    # It has no wheel from Python 3.13 on; its protobuf is too old for Python 3.14 and for tensorboard 2.19.
    "mediapipe": [
        f"{package}; python_version < '3.13'"
        for package in ("absl-py", "attrs", "flatbuffers", "protobuf>=4.25,<5", "tensorboard<2.19")
        + ("opencv-contrib-python-headless", "matplotlib")
    ],
    # resemblyzer asks for a webrtcvad without wheels; tools/install.sh installs it without its dependencies.
    "d_vector": ["librosa", "webrtcvad-wheels"],
    # pocketsphinx has no wheel for Python 3.14; there, like pesq, it needs a C compiler and is installed apart.
    "evaluate": ["pystoi", "pesq", "pocketsphinx; python_version < '3.14'"],
    "mini": ["espeakng-loader"],
    "serve": ["starlette", "uvicorn", "python-multipart"],
    "stream": ["sounddevice"],
    "slurm": ["submitit"],
    # 2.11 is the last one. It works with later releases of torch that are built for its CUDA release, as 2.11 to 2.14
    # are on PyPI; 2.15 is built for a newer one, and a torch for the CPU needs a torchaudio for the CPU.
    "torchaudio": ["torchaudio>=2.8,<2.12"],
}

setup(
    name="v2skit",
    version=VERSION,
    description="Video-to-speech synthesis toolkit with large-scale audio pre-training",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.15",
    packages=find_packages(include=["v2skit", "v2skit.*"]),
    package_data={"v2skit.serve": ["page/*"]},
    install_requires=[
        "torch>=2.8,<2.16",
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
        "tensorboard",
        "tqdm",
    ],
    # pesq has no wheel and needs a C compiler; tools/install.sh installs it apart, so that its lack costs no more.
    extras_require={
        **EXTRAS,
        "test": ["pytest", "pytest-xdist", *(p for extra in EXTRAS.values() for p in extra if p != "pesq")],
    },
    entry_points={"console_scripts": ["v2skit=v2skit.cli:main"]},
)
