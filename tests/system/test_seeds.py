"""The initial weights of a part depend on the experiment's seed and on the part alone."""

import torch

from v2skit.config.load import load_config
from v2skit.losses.total import Losses
from v2skit.models.build import build_model
from v2skit.system.seeds import seed_part


def equal(a, b):
    pairs = zip(a.parameters(), b.parameters(), strict=True)
    return all(torch.equal(x, y) for x, y in pairs)


def test_parts_have_seeds_of_their_own():
    draws = []
    for seed, name in ((1, "encoder"), (1, "decoder"), (2, "encoder"), (1, "encoder")):
        seed_part(seed, name)
        draws.append(torch.randn(4))
    assert torch.equal(draws[0], draws[3])
    assert not any(torch.equal(draws[0], other) for other in draws[1:3])


def test_a_frontend_starts_from_the_same_weights_whatever_the_speaker_table(tiny):
    config = load_config(tiny)
    few, many = (build_model(config, "v2a", speakers) for speakers in (["a", "b"], ["a", "b", "c", "d", "e"]))
    assert few.speaker.table.weight.shape != many.speaker.table.weight.shape
    audio = build_model(config, "a2a", ["a"])
    assert equal(few.frontend, many.frontend) and equal(few.encoder, many.encoder) and equal(few.decoder, many.decoder)
    assert equal(audio.encoder, many.encoder) and equal(audio.decoder, many.decoder)
    other = build_model(load_config(tiny, ["seed=2"]), "v2a", ["a", "b"])
    assert not equal(few.frontend, other.frontend)


def test_a_discriminator_starts_from_the_same_weights_whatever_the_other_losses(tiny):
    term = "losses.z={type: adversarial, weight: 1, discriminators: {a: {type: waveform, channels: 2, layers: 2}}}"
    one, two = (Losses(load_config(tiny, [*others, term])) for others in ([], [term.replace("losses.z", "losses.b")]))
    assert equal(one.terms["z"], two.terms["z"]) and not equal(two.terms["b"], two.terms["z"])
