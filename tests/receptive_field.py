"""The receptive field of a network, measured."""

import torch


def measured_receptive_field(module, x, positions=4):
    """Left context and look-ahead of an output step, input steps.

    Some random input steps are changed, to find the output steps that change; and since a change can be lost in
    rounding, the gradients of the same output steps are computed, to find the input steps where they are not zero.

    Args:
        module: (1, L, ...), mask (1, L) -> (1, L * rate, ...), at any rate.
        x: its input, longer than the receptive field.
        positions: number of random steps.
    """
    steps, mask, found = x.shape[1], torch.ones(1, x.shape[1], dtype=torch.bool), []

    def run(x):
        return module(x, mask).reshape(steps, -1)

    output = run(x.requires_grad_())
    with torch.no_grad():
        whole = run(x)  # again, since with gradients other kernels may be used
    for step in torch.randperm(steps)[:positions].tolist():
        with torch.no_grad():
            other = x.clone()
            other[:, step] = torch.randn_like(other[:, step])
            found.append((run(other) != whole).any(1).nonzero() - step)
        (slope,) = torch.autograd.grad((output[step] * torch.randn_like(output[step])).sum(), x, retain_graph=True)
        found.append(step - slope[0].flatten(1).any(1).nonzero())
    found = torch.cat(found)
    return int(found.max()), -int(found.min())
