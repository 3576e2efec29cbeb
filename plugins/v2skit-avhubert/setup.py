from setuptools import setup

setup(
    name="v2skit-avhubert",
    version="0.1.0",
    description="Plug-in of v2skit: AV-HuBERT as a visual frontend, with weights of its official checkpoints",
    license="Apache-2.0",
    packages=["v2skit_avhubert"],
    install_requires=["v2skit>=0.2"],
    entry_points={"v2skit": ["avhubert = v2skit_avhubert"]},
)
