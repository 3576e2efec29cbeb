"""The components that v2skit brings: kind -> name -> module and class."""

from collections.abc import Callable

from v2skit.registry.hooks import hookimpl

# One class serves as a decoder (features -> waveform) and as a vocoder (mel -> waveform).
GENERATORS = {
    "wavegan": "v2skit.models.decoders.wavegan:WaveGan",
    "hifigan": "v2skit.models.decoders.hifigan:HifiGan",
    "istft": "v2skit.models.decoders.istft:Istft",
}
COMPONENTS = {
    "visual_frontend": {
        "resnet3d": "v2skit.models.frontends.resnet3d:ResNet3d",
        "resnet3d_small": "v2skit.models.frontends.resnet3d:ResNet3dSmall",
        "audiovisual": "v2skit.models.frontends.audiovisual:AudioVisual",
    },
    "audio_frontend": {
        "mel_conv": "v2skit.models.frontends.mel_conv:MelConv",
        "resnet1d": "v2skit.models.frontends.resnet1d:ResNet1d",
    },
    "speaker": {
        "none": "v2skit.models.speakers.none:NoSpeaker",
        "table": "v2skit.models.speakers.table:SpeakerTable",
        "d_vector": "v2skit.models.speakers.d_vector:DVector",
    },
    "encoder": {
        "conformer": "v2skit.models.encoders.conformer:Conformer",
        "bigru": "v2skit.models.encoders.bigru:BiGru",
    },
    "decoder": {
        "mel_linear": "v2skit.models.decoders.mel_linear:MelLinear",
        "flow_mel": "v2skit.models.decoders.flow_mel:FlowMel",
        "units": "v2skit.models.decoders.units:Units",
        "ddsp": "v2skit.models.decoders.ddsp:Ddsp",
        **GENERATORS,
    },
    "head": {
        "mel": "v2skit.models.heads.mel:MelHead",
        "units": "v2skit.models.heads.units:UnitsHead",
        "f0": "v2skit.models.heads.f0:F0Head",
        "ctc": "v2skit.models.heads.ctc:Ctc",
    },
    "target": {
        "tokens": "v2skit.targets.tokens:Tokens",
        "units": "v2skit.targets.units:Units",
        "f0": "v2skit.targets.f0:F0",
        "voicing": "v2skit.targets.f0:Voicing",
    },
    "vocoder": {
        "griffin_lim": "v2skit.models.vocoders.griffin_lim:GriffinLim",
        "trained": "v2skit.models.vocoders.trained:Trained",
        "units": "v2skit.models.vocoders.units:UnitsVocoder",
        **GENERATORS,
    },
    "tokenizer": {
        "characters": "v2skit.text.characters:Characters",
        "sentencepiece": "v2skit.text.sentencepiece:SentencePiece",
        "phonemes": "v2skit.text.phonemes:Phonemes",
    },
    "loss": {
        "ctc": "v2skit.losses.ctc:Ctc",
        "l1": "v2skit.losses.l1:L1",
        "spectral_convergence": "v2skit.losses.spectral_convergence:SpectralConvergence",
        "multi_resolution_stft": "v2skit.losses.multi_resolution_stft:MultiResolutionStft",
        "log_mel": "v2skit.losses.log_mel:LogMel",
        "power": "v2skit.losses.power:Power",
        "mfcc": "v2skit.losses.mfcc:Mfcc",
        "cross_entropy": "v2skit.losses.cross_entropy:CrossEntropy",
        "perceptual": "v2skit.losses.perceptual:Perceptual",
        "adversarial": "v2skit.losses.adversarial:Adversarial",
        "estoi": "v2skit.losses.estoi:Estoi",
        "estoi_waveform": "v2skit.losses.estoi_waveform:EstoiWaveform",
        "pesq": "v2skit.losses.pesq:Pesq",
        "f0": "v2skit.losses.f0:F0Loss",
        "recognition": "v2skit.losses.recognition:Recognition",
    },
    "discriminator": {
        "waveform": "v2skit.losses.discriminators.waveform:WaveformDiscriminator",
        "power": "v2skit.losses.discriminators.power:PowerDiscriminator",
        "multi_period": "v2skit.losses.discriminators.multi_period:MultiPeriodDiscriminator",
        "multi_resolution": "v2skit.losses.discriminators.multi_resolution:MultiResolutionDiscriminator",
    },
    "extractor": {
        "audio_frontend": "v2skit.losses.extractors.audio_frontend:AudioFrontend",
        "torchaudio": "v2skit.losses.extractors.torchaudio:TorchaudioBundle",
    },
    "metric": {
        "stoi": "v2skit.evaluation.stoi:Stoi",
        "estoi": "v2skit.evaluation.stoi:Estoi",
        "pesq_wb": "v2skit.evaluation.pesq:PesqWideBand",
        "pesq_nb": "v2skit.evaluation.pesq:PesqNarrowBand",
        "mcd": "v2skit.evaluation.mcd:Mcd",
        "mcd_dtw": "v2skit.evaluation.mcd:McdDtw",
        "lsd": "v2skit.evaluation.lsd:Lsd",
        "global_variance": "v2skit.evaluation.global_variance:GlobalVariance",
        "f0_rmse": "v2skit.evaluation.f0:F0Rmse",
        "voicing_error": "v2skit.evaluation.f0:VoicingError",
        "dnsmos": "v2skit.evaluation.mos:Dnsmos",
        "distillmos": "v2skit.evaluation.mos:DistillMos",
        "speaker_similarity": "v2skit.evaluation.speaker_similarity:SpeakerSimilarity",
        "lse": "v2skit.evaluation.lse:LipSyncError",
    },
    "asr": {
        "pocketsphinx": "v2skit.evaluation.asr:PocketSphinx",
        "whisper": "v2skit.evaluation.whisper:Whisper",
        "torchaudio": "v2skit.evaluation.torchaudio_asr:TorchaudioAsr",
    },
    "corpus": {
        "mini": "v2skit.corpora.mini.corpus:Mini",
        "grid": "v2skit.corpora.audiovisual.grid:Grid",
        "tcd_timit": "v2skit.corpora.audiovisual.tcd_timit:TcdTimit",
        "lrw": "v2skit.corpora.audiovisual.lrw:Lrw",
        "lrs2": "v2skit.corpora.audiovisual.lrs2:Lrs2",
        "lrs3": "v2skit.corpora.audiovisual.lrs3:Lrs3",
        "custom": "v2skit.corpora.audiovisual.custom:Custom",
        "audio_folder": "v2skit.corpora.audio.audio_folder:AudioFolder",
        "librispeech": "v2skit.corpora.audio.librispeech:LibriSpeech",
        "libritts": "v2skit.corpora.audio.libritts:LibriTts",
        "vctk": "v2skit.corpora.audio.vctk:Vctk",
        "ljspeech": "v2skit.corpora.audio.ljspeech:LjSpeech",
        "hifi_tts": "v2skit.corpora.audio.hifi_tts:HifiTts",
        "common_voice": "v2skit.corpora.audio.common_voice:CommonVoice",
        "mls": "v2skit.corpora.audio.mls:Mls",
        "spoken_wikipedia": "v2skit.corpora.audio.spoken_wikipedia:SpokenWikipedia",
        "pool": "v2skit.corpora.audio.pool:Pool",
        "neural_voices": "v2skit.corpora.neural_voices.corpus:NeuralVoices",
        "lhotse": "v2skit.corpora.lhotse:Lhotse",
        "webdataset": "v2skit.corpora.webdataset:WebDataset",
    },
    "tracker": {
        "face_mesh": "v2skit.tracking.face_mesh:FaceMesh",
        "mediapipe": "v2skit.tracking.mediapipe:MediaPipe",
        "landmarks": "v2skit.tracking.landmarks:Landmarks",
        "fixed": "v2skit.tracking.fixed:Fixed",
        "none": "v2skit.tracking.none:NoTracker",
    },
    "logger": {
        "jsonl": "v2skit.training.loggers.jsonl:JsonLines",
        "tensorboard": "v2skit.training.loggers.tensorboard:TensorBoard",
    },
}


@hookimpl
def register_components(register: Callable[[str, str, str], None]) -> None:
    """Register the built-in components."""
    for kind, components in COMPONENTS.items():
        for name, target in components.items():
            register(kind, name, target)
