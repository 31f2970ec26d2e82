"""A training step captured in a CUDA graph and replayed, with other work that
allocates and frees between the replays."""

import torch

import measured

torch.manual_seed(1)
model = torch.nn.Sequential(torch.nn.Linear(512, 2048), torch.nn.GELU(),
                            torch.nn.Linear(2048, 512)).cuda()
optimiser = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
inputs, targets = torch.randn(2, 256, 512, device="cuda")


def train():
    optimiser.zero_grad(set_to_none=False)
    loss = torch.nn.functional.mse_loss(model(inputs), targets)
    loss.backward()
    optimiser.step()
    return loss


# On a stream of its own, as a capture wants: whatever is made once is made here.
warm_up = torch.cuda.Stream()
warm_up.wait_stream(torch.cuda.current_stream())
with torch.cuda.stream(warm_up):
    for _ in range(3):
        train()
torch.cuda.current_stream().wait_stream(warm_up)
graph = torch.cuda.CUDAGraph()
with torch.cuda.graph(graph):
    loss = train()


def step():
    graph.replay()
    # Memory that the graph's own must not overlap.
    other = [torch.full((size << 18,), float("nan"), device="cuda") for size in (1, 3, 8)]
    graph.replay()
    del other
    return loss.item(), sum(p.double().sum().item() for p in model.parameters())


measured.main(step, torch.cuda.synchronize)
