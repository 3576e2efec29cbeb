import torch

from v2skit.config.features import Clock, Mel
from v2skit.models.decoders.mel_linear import MelLinear
from v2skit.models.heads.mel import MelHead


def test_the_head_gives_the_mel_of_the_decoder():
    mask = torch.tensor([[True, True, True], [True, False, False]])
    head, decoder = MelHead(6, Clock(), Mel(), mean=-4.0), MelLinear(6, Clock(), Mel(), mean=-4.0)
    decoder.load_state_dict(head.decoder.state_dict())
    x = torch.randn(2, 3, 6)
    assert head.outputs == ("mel",)
    assert torch.equal(head(x, mask)["mel"], decoder(x, mask)) and not head(x, mask)["mel"][1, 4:].any()
    with torch.autocast("cpu", torch.bfloat16):
        assert head(x, mask)["mel"].dtype == torch.float32
