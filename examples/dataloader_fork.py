"""DataLoader workers, forked in the middle of a run, capture into that run. Needs torch.

    python examples/dataloader_fork.py
"""

from __future__ import annotations

import os
import sys
import time

from contexta import Contexta

try:
    from torch import Tensor, tensor
    from torch.utils.data import DataLoader, Dataset
except ImportError:
    sys.exit("This example needs torch: pip install torch")


class Squares(Dataset[Tensor]):
    """Rows that take a little while to make; how long is captured by the worker that makes them."""

    def __init__(self, ctx: Contexta) -> None:
        self.ctx = ctx

    def __len__(self) -> int:
        return 256

    def __getitem__(self, index: int) -> Tensor:
        began = time.perf_counter()
        row = tensor([float(n * n) for n in range(index)]).sum()
        self.ctx.metric("row_time", time.perf_counter() - began, unit="s", step=index)
        return row


def main() -> None:
    with Contexta(config={"project_name": "dataloader"}) as ctx:
        with ctx.run("squares") as run, run.stage("load") as stage:
            loader = DataLoader(Squares(ctx), batch_size=16, num_workers=2, multiprocessing_context="fork")
            for step, batch in enumerate(loader):
                stage.metric("batch_mean", batch.mean().item(), step=step)
        made = ctx.get_step_series(run.ref, "row_time", stage_name="load")
        print(f"process {os.getpid()} has {len(made)} times of rows that its workers made")


if __name__ == "__main__":
    main()
