"""Visual and audio frontends: signals -> features at the video frame rate."""
