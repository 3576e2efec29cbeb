"""What this plug-in brings; the class is imported when a config asks for it."""

import v2skit


@v2skit.hookimpl
def register_components(register):
    register("vocoder", "parallel_wavegan", "v2skit_parallel_wavegan.vocoder:ParallelWaveGan")
