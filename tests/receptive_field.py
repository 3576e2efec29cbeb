"""How far a network looks, found out by trying."""

import torch


def measured_receptive_field(module, x, positions=4):
    """Steps back and ahead that an output step depends on.

    Each of some random input steps is changed, to see which output steps change; and since a change can be lost in
    rounding, each of the same output steps is asked on which input steps it has a slope.

    Args:
        module: (1, L, ...), mask (1, L) -> (1, L * rate, ...), at any rate.
        x: its input, long enough for both.
        positions: how many steps.
    """
    steps, mask, found = x.shape[1], torch.ones(1, x.shape[1], dtype=torch.bool), []

    def run(x):
        return module(x, mask).reshape(steps, -1)

    output = run(x.requires_grad_())
    with torch.no_grad():
        whole = run(x)  # once more, for with gradients other kernels may run
    for step in torch.randperm(steps)[:positions].tolist():
        with torch.no_grad():
            other = x.clone()
            other[:, step] = torch.randn_like(other[:, step])
            found.append((run(other) != whole).any(1).nonzero() - step)
        (slope,) = torch.autograd.grad((output[step] * torch.randn_like(output[step])).sum(), x, retain_graph=True)
        found.append(step - slope[0].flatten(1).any(1).nonzero())
    found = torch.cat(found)
    return int(found.max()), -int(found.min())
