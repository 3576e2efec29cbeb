from setuptools import setup

setup(
    name="v2skit-upsampling",
    version="0.1.0",
    description="Example plug-in of v2skit: a convolutional mel decoder and a delta loss",
    license="Apache-2.0",
    packages=["v2skit_upsampling"],
    install_requires=["v2skit>=0.2"],
    entry_points={"v2skit": ["upsampling = v2skit_upsampling"]},
)
