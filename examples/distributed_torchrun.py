"""Data-parallel training on the CPU, each worker captured under its rank. Needs torch.

    torchrun --nproc-per-node 4 examples/distributed_torchrun.py

Nothing says who is which worker: torchrun's own variables do. The four processes share one run.
"""

from __future__ import annotations

import sys

from contexta import Contexta

try:
    import torch
    import torch.distributed as dist
    from torch.nn.parallel import DistributedDataParallel
except ImportError:
    sys.exit("This example needs torch: pip install torch")


def main() -> None:
    dist.init_process_group("gloo")
    rank = dist.get_rank()
    torch.manual_seed(rank)
    truth = torch.linspace(-1, 1, 16)
    model = DistributedDataParallel(torch.nn.Linear(16, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with Contexta(config={"project_name": "torchrun"}) as ctx:
        with ctx.run("linear") as run, run.stage("train") as stage:
            for step in range(200):
                x = torch.randn(32, 16)
                loss = torch.nn.functional.mse_loss(model(x).squeeze(1), x @ truth)
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
                stage.metric("loss", loss.item(), step=step)
            run_ref = run.ref
        dist.barrier()  # every worker has closed the run
        if rank == 0:
            series = ctx.get_step_series(run_ref, "loss", stage_name="train")
            for each in sorted(set(series.ranks.tolist())):
                print(f"rank {each}: {(series.ranks == each).sum()} losses")
        dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
