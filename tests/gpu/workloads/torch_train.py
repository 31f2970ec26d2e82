"""Trains a small transformer with a fixed seed. Prints each step's loss to the
last bit (`loss HEX`), or with --time the time per step (`step MS ms`)."""

import argparse
import time

import torch
from torch import nn

parser = argparse.ArgumentParser()
parser.add_argument("--width", type=int, action="append")
parser.add_argument("--steps", type=int, default=6)
parser.add_argument("--warmup", type=int, default=10)
parser.add_argument("--time", action="store_true")
options = parser.parse_args()

LAYERS, BATCH, SEQUENCE, VOCABULARY = 6, 16, 256, 8192


class Model(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, width)
        layer = nn.TransformerEncoderLayer(
            width, width // 64, 4 * width, dropout=0.0, batch_first=True, norm_first=True
        )
        self.encoder = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.head = nn.Linear(width, VOCABULARY)

    def forward(self, tokens):
        return self.head(self.encoder(self.embedding(tokens)))


def trainer(width):
    """A function that makes one step and returns the loss, on the device."""
    torch.manual_seed(1)
    model = Model(width).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    tokens = torch.randint(0, VOCABULARY, (BATCH, SEQUENCE), device="cuda")

    def step():
        optimizer.zero_grad(set_to_none=True)
        logits = model(tokens)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), tokens.flatten())
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


def timed(step):
    for _ in range(options.warmup):
        step()
    torch.cuda.synchronize()
    start = time.perf_counter()
    for _ in range(options.steps):
        step()
    torch.cuda.synchronize()
    return (time.perf_counter() - start) / options.steps * 1e3


torch.set_float32_matmul_precision("high" if options.time else "highest")
if not options.time:
    torch.use_deterministic_algorithms(True)
for width in options.width or [512]:
    step = trainer(width)
    if options.time:
        print(f"step-d{width} {timed(step):.4f} ms", flush=True)
    else:
        for _ in range(options.steps):
            print("loss", step().item().hex(), flush=True)
