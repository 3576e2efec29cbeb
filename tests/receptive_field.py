"""The receptive field of a network, measured."""

import torch


def measured_context(module, x, positions=4):
    """Left and right context of an output step: how many input steps before and after it the output depends on.

    Some random input steps are changed, to find the output steps that change with them. Since a change can be lost to
    rounding, the gradient of each of the same output steps is computed as well, to find the input steps where it is not
    zero.

    Args:
        module: input (1, L, ...), mask (1, L) -> output (1, L * rate, ...), at any integer rate.
        x: input, longer than the receptive field.
        positions: number of steps that are tried.

    Returns:
        (left context, right context), steps of the input.
    """
    steps, mask, found = x.shape[1], torch.ones(1, x.shape[1], dtype=torch.bool), []

    def run(x):
        return module(x, mask).reshape(steps, -1)

    output = run(x.requires_grad_())
    with torch.no_grad():
        reference = run(x)  # computed again, for other kernels may run where gradients are recorded
    for step in torch.randperm(steps)[:positions].tolist():
        with torch.no_grad():
            changed = x.clone()
            changed[:, step] = torch.randn_like(changed[:, step])
            found.append((run(changed) != reference).any(1).nonzero() - step)
        (gradient,) = torch.autograd.grad((output[step] * torch.randn_like(output[step])).sum(), x, retain_graph=True)
        found.append(step - gradient[0].flatten(1).any(1).nonzero())
    found = torch.cat(found)
    return int(found.max()), -int(found.min())
