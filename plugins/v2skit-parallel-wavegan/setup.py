from setuptools import setup

setup(
    name="v2skit-parallel-wavegan",
    version="0.1.0",
    description="Plug-in of v2skit: Parallel WaveGAN as a vocoder, from a checkpoint of the package parallel_wavegan",
    license="Apache-2.0",
    packages=["v2skit_parallel_wavegan"],
    # parallel_wavegan is not named: pip can't build it without --no-build-isolation, so it is installed apart (README).
    install_requires=["v2skit>=0.2"],
    entry_points={"v2skit": ["parallel_wavegan = v2skit_parallel_wavegan"]},
)
