"""Every component that ships with v2skit, and where it lives."""

from collections.abc import Callable

from v2skit import hookimpl

# One class serves as a decoder (features -> waveform) and as a vocoder (mel -> waveform).
GENERATORS = {
    "wavegan": "v2skit.generators.wavegan:WaveGan",
    "hifigan": "v2skit.generators.hifigan:HifiGan",
    "istft": "v2skit.generators.istft:Istft",
}
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
    "decoder": {"mel_linear": "v2skit.decoders.mel_linear:MelLinear", **GENERATORS},
    "vocoder": {
        "griffin_lim": "v2skit.vocoders.griffin_lim:GriffinLim",
        "trained": "v2skit.vocoders.trained:Trained",
        **GENERATORS,
    },
    "loss": {
        "l1": "v2skit.losses.l1:L1",
        "spectral_convergence": "v2skit.losses.spectral_convergence:SpectralConvergence",
        "multi_resolution_stft": "v2skit.losses.multi_resolution_stft:MultiResolutionStft",
        "log_mel": "v2skit.losses.log_mel:LogMel",
        "power": "v2skit.losses.power:Power",
        "mfcc": "v2skit.losses.mfcc:Mfcc",
        "perceptual": "v2skit.losses.perceptual:Perceptual",
        "adversarial": "v2skit.losses.adversarial:Adversarial",
    },
    "critic": {
        "waveform": "v2skit.critics.waveform:WaveformCritic",
        "power": "v2skit.critics.power:PowerCritic",
        "multi_period": "v2skit.critics.multi_period:MultiPeriodCritic",
        "multi_resolution": "v2skit.critics.multi_resolution:MultiResolutionCritic",
    },
    "extractor": {
        "audio_frontend": "v2skit.extractors.audio_frontend:AudioFrontend",
        "torchaudio": "v2skit.extractors.torchaudio:TorchaudioBundle",
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
        "tcd_timit": "v2skit.corpora.tcd_timit:TcdTimit",
        "lrw": "v2skit.corpora.lrw:Lrw",
        "lrs2": "v2skit.corpora.lrs2:Lrs2",
        "lrs3": "v2skit.corpora.lrs3:Lrs3",
        "custom": "v2skit.corpora.custom:Custom",
        "audio_folder": "v2skit.corpora.audio_folder:AudioFolder",
        "librispeech": "v2skit.corpora.librispeech:LibriSpeech",
        "libritts": "v2skit.corpora.libritts:LibriTts",
        "vctk": "v2skit.corpora.vctk:Vctk",
        "ljspeech": "v2skit.corpora.ljspeech:LjSpeech",
        "hifi_tts": "v2skit.corpora.hifi_tts:HifiTts",
        "common_voice": "v2skit.corpora.common_voice:CommonVoice",
        "mls": "v2skit.corpora.mls:Mls",
        "spoken_wikipedia": "v2skit.corpora.spoken_wikipedia:SpokenWikipedia",
        "pool": "v2skit.corpora.pool:Pool",
    },
    "tracker": {
        "face_mesh": "v2skit.trackers.face_mesh:FaceMesh",
        "mediapipe": "v2skit.trackers.mediapipe:MediaPipe",
        "landmarks": "v2skit.trackers.landmarks:Landmarks",
        "fixed": "v2skit.trackers.fixed:Fixed",
        "none": "v2skit.trackers.none:NoTracker",
    },
}


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    """Register what the toolkit brings, by name."""
    for kind, components in COMPONENTS.items():
        for name, target in components.items():
            register(kind, name, target)
