"""Each of CUDA's libraries through PyTorch: cuBLAS, cuFFT, cuSOLVER, cuSPARSE, cuRAND, cuDNN."""

import torch

import measured

torch.manual_seed(1)
torch.backends.cudnn.deterministic = True
# Its choice by trial could differ from run to run.
torch.backends.cudnn.benchmark = False
matrix = torch.randn(768, 768, device="cuda", dtype=torch.float64)
positive = matrix @ matrix.T + 768 * torch.eye(768, device="cuda", dtype=torch.float64)
image = torch.randn(8, 16, 96, 96, device="cuda")
kernel = torch.randn(32, 16, 3, 3, device="cuda")
# Whole numbers: cuSPARSE does not promise to add in the same order each time.
sparse = (torch.rand(4096, 4096, device="cuda") < 0.01).float().to_sparse_csr()
round_ = 0


def step():
    global round_
    round_ += 1
    torch.cuda.manual_seed(round_)
    noise = torch.randn(1 << 20, device="cuda")
    solved = torch.linalg.solve(positive, matrix)
    eigenvalues = torch.linalg.eigvalsh(positive[:200, :200])
    spectrum = torch.fft.fft(noise[: 1000 * round_ + 17])
    product = sparse @ (noise[: 4096 * 64] * 100).round().view(4096, 64)
    folded = torch.nn.functional.conv2d(image, kernel, padding=1)
    values = (noise, solved, eigenvalues, spectrum.abs(), product, folded)
    return [value.double().sum().item() for value in values]


measured.main(step, torch.cuda.synchronize)
