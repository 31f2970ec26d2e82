"""NCCL on one GPU: distributed data parallel and collectives through PyTorch, and buffers
registered with NCCL, used and freed."""

import ctypes
import tempfile

import torch
import torch.distributed as dist

import measured

store = dist.FileStore(tempfile.NamedTemporaryFile(delete=False).name, 1)
torch.cuda.set_device(0)
dist.init_process_group("nccl", store=store, rank=0, world_size=1,
                        device_id=torch.device("cuda", 0))
torch.manual_seed(1)
model = torch.nn.parallel.DistributedDataParallel(
    torch.nn.Sequential(torch.nn.Linear(512, 1024), torch.nn.ReLU(),
                        torch.nn.Linear(1024, 16)).cuda(), device_ids=[0])
optimiser = torch.optim.SGD(model.parameters(), lr=0.05)
inputs = torch.randn(512, 512, device="cuda")
# NCCL itself, for what PyTorch does not ask of it on one GPU: registering buffers.
nccl = ctypes.CDLL("libnccl.so.2")
communicator, registration = ctypes.c_void_p(), ctypes.c_void_p()
source = torch.arange(1 << 20, device="cuda", dtype=torch.float32)
FLOAT, SUM = 7, 0


def call(name, *arguments):
    result = getattr(nccl, name)(*arguments)
    if result != 0:
        raise RuntimeError(f"{name}: {result}")


call("ncclCommInitAll", ctypes.byref(communicator), 1, ctypes.byref(ctypes.c_int(0)))


def reduced(tensor):
    """`tensor` reduced over the communicator, registered meanwhile."""
    pointer, count = ctypes.c_void_p(tensor.data_ptr()), ctypes.c_size_t(tensor.numel())
    target = torch.empty_like(tensor)
    call("ncclCommRegister", communicator, pointer, ctypes.c_size_t(tensor.nbytes),
         ctypes.byref(registration))
    call("ncclAllReduce", pointer, ctypes.c_void_p(target.data_ptr()), count, FLOAT, SUM,
         communicator, ctypes.c_void_p(torch.cuda.current_stream().cuda_stream))
    torch.cuda.synchronize()
    call("ncclCommDeregister", communicator, registration)
    return target


def step():
    loss = model(inputs).square().mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    dist.all_reduce(source)
    gathered = torch.empty(1 << 20, device="cuda")
    dist.all_gather_into_tensor(gathered, source)
    # Freed at once, so that the next step's lie where these were.
    sums = [reduced(torch.full((size,), float(size), device="cuda")).double().sum().item()
            for size in (1000, 1 << 20, 3 << 20)]
    return [loss.item(), gathered.double().sum().item()] + sums


measured.main(step, torch.cuda.synchronize)
call("ncclCommDestroy", communicator)
dist.destroy_process_group()
