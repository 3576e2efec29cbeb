"""Every component that ships with v2skit, and where it lives."""

from v2skit import hookimpl

COMPONENTS = {
    "visual_frontend": {
        "resnet3d": "v2skit.frontends.resnet3d:ResNet3d",
        "resnet3d_small": "v2skit.frontends.resnet3d:ResNet3dSmall",
    },
    "audio_frontend": {
        "mel_conv": "v2skit.frontends.mel_conv:MelConv",
        "resnet1d": "v2skit.frontends.resnet1d:ResNet1d",
    },
    "speaker": {
        "none": "v2skit.speakers.none:NoSpeaker",
        "table": "v2skit.speakers.table:SpeakerTable",
        "d_vector": "v2skit.speakers.d_vector:DVector",
    },
    "encoder": {
        "conformer": "v2skit.encoders.conformer:Conformer",
        "bigru": "v2skit.encoders.bigru:BiGru",
    },
    "decoder": {"mel_linear": "v2skit.decoders.mel_linear:MelLinear"},
    "vocoder": {"griffin_lim": "v2skit.vocoders.griffin_lim:GriffinLim"},
    "loss": {
        "l1": "v2skit.losses.l1:L1",
        "spectral_convergence": "v2skit.losses.spectral_convergence:SpectralConvergence",
    },
    "metric": {
        "stoi": "v2skit.evaluate.metrics:Stoi",
        "estoi": "v2skit.evaluate.metrics:Estoi",
        "pesq_wb": "v2skit.evaluate.metrics:PesqWideBand",
        "pesq_nb": "v2skit.evaluate.metrics:PesqNarrowBand",
        "mcd": "v2skit.evaluate.metrics:Mcd",
    },
    "asr": {"pocketsphinx": "v2skit.evaluate.asr:PocketSphinx"},
    "corpus": {
        "mini": "v2skit.corpora.mini:Mini",
        "grid": "v2skit.corpora.grid:Grid",
        "audio_folder": "v2skit.corpora.audio_folder:AudioFolder",
    },
    "tracker": {
        "mediapipe": "v2skit.trackers.mediapipe:MediaPipe",
        "none": "v2skit.trackers.none:NoTracker",
    },
}


@hookimpl
def register_components(register):
    for kind, components in COMPONENTS.items():
        for name, target in components.items():
            register(kind, name, target)
