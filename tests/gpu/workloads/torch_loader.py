"""Training fed by a `DataLoader`: forked workers, pinned memory, copies beside the
computation."""

import torch
from torch.utils.data import DataLoader, Dataset

import measured


class Numbers(Dataset):
    def __len__(self):
        return 256

    def __getitem__(self, index):
        torch.manual_seed(index)
        # Of many lengths, so that every batch has a size of its own.
        return torch.randn(64, 100 + index % 60)


def together(samples):
    return torch.nn.utils.rnn.pad_sequence([sample.T for sample in samples], batch_first=True)


def main():
    torch.manual_seed(1)
    model = torch.nn.GRU(64, 256, batch_first=True).cuda()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.01)
    loader = DataLoader(Numbers(), batch_size=32, num_workers=2, pin_memory=True,
                        collate_fn=together, persistent_workers=True)

    def step():
        losses = []
        for batch in loader:
            batch = batch.cuda(non_blocking=True)
            output, _ = model(batch)
            loss = output.square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            losses.append(loss)
        return [loss.item() for loss in losses]

    measured.main(step, torch.cuda.synchronize, steps=3)


if __name__ == "__main__":
    main()
