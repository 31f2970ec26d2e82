"""Shares tensors between processes by `torch.multiprocessing`, which is CUDA IPC: in both
directions, several in one allocation, views, and more than once; then the owner lets go of some and
allocates again. Events between processes order the work. Prints what each process sees; bare and
pooled it is the same."""

import argparse

import torch
import torch.multiprocessing as mp

MIB = 1 << 20
PATIENCE = 60


def tensors(scale):
    """Tensors of many sizes, some in the same allocation, and a view that begins inside one."""
    sizes = (1, 100, 257, 1000, 4099, MIB // 4, MIB, 5 * MIB + 3)
    made = [torch.arange(size, device="cuda", dtype=torch.float32) * scale for size in sizes]
    matrix = torch.arange(64 * 64, device="cuda", dtype=torch.float32).view(64, 64) * scale
    return made + [matrix[3:7, 5:9], made[-1][1000:2000]]


def sums(shared):
    return [tensor.double().sum().item() for tensor in shared]


def consumer(inbox, outbox):
    for _ in range(3):
        shared, ready = inbox.get(timeout=PATIENCE)
        # What the event tells of is done before what follows on this stream.
        event = torch.cuda.Event.from_ipc_handle(torch.cuda.current_device(), ready)
        torch.cuda.current_stream().wait_event(event)
        seen = sums(shared)
        for tensor in shared[:8]:
            tensor += 1
        torch.cuda.synchronize()
        outbox.put(seen)
        del shared, event
    # Memory of its own, for the other direction.
    own = tensors(7)
    outbox.put(own)
    assert inbox.get(timeout=PATIENCE) == "seen"
    outbox.put(sums(own))
    assert inbox.get(timeout=PATIENCE) == "end"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--start", default="spawn", choices=("spawn", "forkserver"))
    options = parser.parse_args()
    context = mp.get_context(options.start)
    inbox, outbox = context.Queue(), context.Queue()
    process = context.Process(target=consumer, args=(inbox, outbox))
    process.start()
    kept = []
    for turn in range(1, 4):
        shared = tensors(turn)
        event = torch.cuda.Event(interprocess=True)
        # A late kernel, of which only the event tells the other process.
        torch.cuda._sleep(50_000_000)
        for tensor in shared[:8]:
            tensor *= 2
        event.record()
        inbox.put((shared, event.ipc_handle()))
        print(f"turn {turn}: the consumer saw", *outbox.get(timeout=PATIENCE))
        print(f"turn {turn}: the owner sees", *sums(shared))
        # One turn's tensors stay, the others' memory is freed and used for something else.
        if turn == 1:
            kept.append((shared, event))
        del shared, event
        others = [torch.full((MIB,), -1.0, device="cuda") for _ in range(8)]
        assert all(other.sum().item() == -MIB for other in others)
        del others
    print("kept:", *sums(kept[0][0]))
    theirs = outbox.get(timeout=PATIENCE)
    print("the other way:", *sums(theirs))
    for tensor in theirs[:8]:
        tensor -= 3
    torch.cuda.synchronize()
    inbox.put("seen")
    print("the other way, changed:", *outbox.get(timeout=PATIENCE))
    del theirs
    inbox.put("end")
    process.join(PATIENCE)
    print("exit status", process.exitcode)


if __name__ == "__main__":
    main()
