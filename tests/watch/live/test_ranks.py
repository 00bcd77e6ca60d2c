"""Several ranks under a watch: one log each, one that alerts, and a stop that all take after the same step."""

import multiprocessing
import socket

import pytest
import torch
from torch import nn

import gonogo
from gonogo.errors import TrainingStopped
from gonogo.watch.live.log import read

STEPS = 60
SLOW = pytest.mark.slow


def train(rank, folder, port, spoil, answers):
    """Ranks that wait for each other at every step, as those of DDP do, and have losses of their own."""
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
    torch.manual_seed(0)
    model, alerts, step = nn.Linear(4, 1), [], 0
    optimizer = torch.optim.AdamW(model.parameters())
    try:
        with gonogo.watch(model, optimizer, folder=folder[rank], on_alert=lambda finding: alerts.append(finding.text)):
            for step in range(1, STEPS + 1):
                torch.distributed.all_reduce(torch.zeros(1))
                optimizer.zero_grad()
                loss = model(torch.randn(8, 4)).square().mean()
                (loss * float("nan") if rank == 1 and step == spoil else loss).backward()
                optimizer.step()
        answers.put((rank, step, "", alerts))
    except TrainingStopped as stopped:
        answers.put((rank, step, str(stopped), alerts))


@pytest.fixture
def run():
    """run(spoil, folders) -> {rank: (last step, why it stopped, its alerts)}."""
    torch.optim.AdamW(nn.Linear(1, 1).parameters())  # imports much, once for all children

    def ended(spoil, folders):
        context = multiprocessing.get_context("fork")
        answers = context.SimpleQueue()
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        given = [(rank, folders, port, spoil, answers) for rank in range(2)]
        ranks = [context.Process(target=train, args=one, daemon=True) for one in given]
        for one in ranks:
            one.start()
        for one in ranks:
            one.join(60)
            assert one.exitcode == 0
        return {rank: answer for rank, *answer in (answers.get(), answers.get())}

    return ended


@pytest.mark.parametrize(
    ("spoil", "last"), [pytest.param(3, 5, marks=SLOW), pytest.param(10, 21, marks=SLOW), (37, 51)]
)
def test_what_one_rank_finds_stops_all_after_the_same_step(run, tmp_path, spoil, last):
    ends = run(spoil, [tmp_path / "log"] * 2)
    assert [ends[rank][0] for rank in range(2)] == [last, last]
    assert all("nan: rank 1: the optimizer stepped with" in ends[rank][1] for rank in range(2))


@SLOW
def test_only_the_first_rank_alerts_and_each_has_its_own_log(run, tmp_path):
    ends = run(3, [tmp_path / "log"] * 2)
    assert [len(ends[rank][2]) for rank in range(2)] == [1, 0]
    assert "finding" not in [line["kind"] for line in read(tmp_path / "log")]
    assert "finding" in [line["kind"] for line in read(tmp_path / "log" / "rank-1")]


@SLOW
def test_a_rank_that_cannot_write_its_log_hangs_nobody(run, tmp_path):
    (tmp_path / "file").write_text("")
    ends = run(37, [tmp_path / "log", tmp_path / "file"])
    assert [ends[rank][0] for rank in range(2)] == [51, 51]


@SLOW
def test_healthy_ranks_reach_their_end(run, tmp_path):
    ends = run(None, [tmp_path / "log"] * 2)
    assert ends == {rank: [STEPS, "", []] for rank in range(2)}
