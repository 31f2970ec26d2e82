"""A model through `torch.compile`: kernels made by Triton at run time."""

import torch

import measured

torch.manual_seed(1)


@torch.compile
def block(x, gate, up, down):
    x = torch.nn.functional.rms_norm(x, x.shape[-1:])
    return x + (torch.nn.functional.silu(x @ gate) * (x @ up)) @ down


weights = [torch.randn(shape, device="cuda", requires_grad=True)
           for shape in ((256, 1024), (256, 1024), (1024, 256))]
inputs = torch.randn(4096, 256, device="cuda")


def step():
    loss = block(inputs, *weights).square().mean()
    gradients = torch.autograd.grad(loss, weights)
    return [loss.item()] + [g.double().abs().sum().item() for g in gradients]


measured.main(step, torch.cuda.synchronize)
