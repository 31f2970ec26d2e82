"""Training loops of PyTorch models with fixed seeds, on the first device."""

import random

import torch
from torch import nn

LAYERS, BATCH, SEQUENCE, VOCABULARY = 6, 16, 256, 8192


class Transformer(nn.Module):
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


class Bottleneck(nn.Module):
    """1×1, 3×3 and 1×1 convolutions around a shortcut."""

    def __init__(self, inputs, width, stride):
        super().__init__()
        outputs = 4 * width
        self.main = nn.Sequential(
            *normed(inputs, width, 1), nn.ReLU(inplace=True),
            *normed(width, width, 3, stride), nn.ReLU(inplace=True),
            *normed(width, outputs, 1),
        )
        same = stride == 1 and inputs == outputs
        self.shortcut = nn.Identity() if same else nn.Sequential(*normed(inputs, outputs, 1, stride))
        self.end = nn.ReLU(inplace=True)

    def forward(self, images):
        return self.end(self.main(images) + self.shortcut(images))


def normed(inputs, outputs, size, stride=1):
    """A convolution without bias and its batch normalisation."""
    convolution = nn.Conv2d(inputs, outputs, size, stride, size // 2, bias=False)
    return convolution, nn.BatchNorm2d(outputs)


def resnet50():
    layers = [*normed(3, 64, 7, 2), nn.ReLU(inplace=True), nn.MaxPool2d(3, 2, 1)]
    inputs = 64
    for width, count, first_stride in ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2)):
        for number in range(count):
            layers.append(Bottleneck(inputs, width, first_stride if number == 0 else 1))
            inputs = 4 * width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(inputs, 1000))


def transformer(width):
    """A function that makes one step and returns the loss, on the device."""
    torch.manual_seed(1)
    model = Transformer(width).cuda()
    tokens = torch.randint(0, VOCABULARY, (BATCH, SEQUENCE), device="cuda")
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    return lambda: train(model, optimizer, tokens, tokens)


def varlen():
    """The same of width 512, each step with a batch and a length of its own."""
    torch.manual_seed(1)
    model = Transformer(512).cuda()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4)
    shapes = random.Random(1)

    def step():
        shape = (shapes.randint(4, 16), shapes.randint(32, 512))
        tokens = torch.randint(0, VOCABULARY, shape, device="cuda")
        return train(model, optimizer, tokens, tokens)

    return step


def images():
    """ResNet-50 on a batch of 32 images of 224 × 224."""
    torch.manual_seed(1)
    model = resnet50().cuda()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    batch = torch.randn(32, 3, 224, 224, device="cuda")
    classes = torch.randint(0, 1000, (32,), device="cuda")
    return lambda: train(model, optimizer, batch, classes)


def train(model, optimizer, inputs, targets):
    optimizer.zero_grad(set_to_none=True)
    logits = model(inputs)
    loss = nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten())
    loss.backward()
    optimizer.step()
    return loss.detach()


# By the name on the command line.
TRAINERS = {
    "d512": lambda: transformer(512),
    "d2048": lambda: transformer(2048),
    "resnet50": images,
    "varlen": varlen,
}
