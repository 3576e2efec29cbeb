from setuptools import setup

setup(
    name="v2skit-wandb",
    version="0.1.0",
    description="Plug-in of v2skit: logs of training runs in Weights & Biases, online or offline",
    license="Apache-2.0",
    packages=["v2skit_wandb"],
    install_requires=["v2skit>=0.2", "wandb>=0.20"],
    entry_points={"v2skit": ["wandb = v2skit_wandb"]},
)
