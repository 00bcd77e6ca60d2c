import json
import logging
import mmap
import multiprocessing
import os
import signal
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import gonogo
from gonogo.errors import ProfileError, SubjectError, TrainingStopped
from gonogo.watch.live.gauges import extremeness, memory
from gonogo.watch.live.log import read


class Run:
    """A regression, trained as people write it."""

    def __init__(self, optimizer=torch.optim.AdamW, **options):
        torch.manual_seed(0)
        inputs = torch.randn(256, 4)
        data = TensorDataset(inputs, inputs.sum(1, keepdim=True))
        self.loader = DataLoader(data, 32, shuffle=True)
        self.model = nn.Sequential(nn.Linear(4, 8), nn.Sigmoid(), nn.Linear(8, 1))
        self.optimizer = optimizer(self.model.parameters(), lr=1e-2, **options)
        self.steps = 0

    def train(self, until, spoil=lambda step, loss: loss):
        while self.steps < until:
            for inputs, targets in self.loader:
                self.optimizer.zero_grad()
                loss = nn.functional.mse_loss(self.model(inputs), targets)
                spoil(self.steps, loss).backward()
                self.optimizer.step()
                self.steps += 1
                if self.steps == until:
                    return

    def watch(self, folder, **named):
        return gonogo.watch(self.model, self.optimizer, folder=folder, **named)

    def state(self):
        return {"model": self.model.state_dict(), "optimizer": self.optimizer.state_dict(), "steps": self.steps}

    def load(self, state):
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.steps = state["steps"]


def looks(folder):
    return [line for line in read(folder) if line["kind"] == "look"]


def findings(folder):
    return [line["finding"] for line in read(folder) if line["kind"] == "finding"]


def nan_from(start):
    return lambda step, loss: loss * float("nan") if step >= start else loss


def test_a_healthy_training_is_logged_and_nothing_is_raised(tmp_path):
    run, alerts = Run(), []
    with run.watch(tmp_path, on_alert=alerts.append):
        run.train(100)
    assert [line["step"] for line in looks(tmp_path)] == [*range(1, 11), *range(20, 101, 10)]
    assert sum(len(line["losses"]) for line in looks(tmp_path)) == 100
    assert {"loss", "gradient_norm", "learning_rate", "memory_host", "steps_per_second"} <= looks(tmp_path)[-1][
        "values"
    ].keys()
    assert looks(tmp_path)[-1]["epoch"] == 12
    assert (alerts, findings(tmp_path)) == ([], [])


def test_the_logged_loss_is_the_one_that_was_differentiated(tmp_path):
    run, seen = Run(), []

    def keep(step, loss):
        seen.append(float(loss.detach()))
        return loss

    with run.watch(tmp_path):
        run.train(30, keep)
    assert [loss for line in looks(tmp_path) for loss in line["losses"]] == seen


@pytest.mark.requirement("ARC-6.1")
@pytest.mark.parametrize("start", [0, 7])
def test_nan_in_the_first_steps_stops_at_once(tmp_path, start):
    run = Run()
    with pytest.raises(TrainingStopped, match=f"step {start + 1}: nan: .*gradients"), run.watch(tmp_path):
        run.train(100, nan_from(start))
    assert (run.steps, findings(tmp_path)) == (start, ["nan"])


def test_a_profile_says_what_stops(tmp_path):
    profile, alerts, run = tmp_path / "p.yaml", [], Run()
    profile.write_text("watch: {nan: alert, every: 5}\n")
    with run.watch(tmp_path / "log", profile=str(profile), on_alert=alerts.append):
        run.train(30, nan_from(12))
    assert [(finding.kind, finding.step) for finding in alerts] == [("nan", 15)]


@pytest.mark.parametrize("fused", [False, True])
def test_a_scaler_s_overflow_is_no_nan(tmp_path, fused):
    """A fused optimizer is stepped all the same, and skips by itself."""
    run, scaler = Run(fused=fused), torch.amp.GradScaler("cpu", init_scale=2.0**120)
    with run.watch(tmp_path):
        for inputs, targets in [*run.loader, *run.loader]:
            run.optimizer.zero_grad()
            scaler.scale(1e3 * nn.functional.mse_loss(run.model(inputs), targets)).backward()
            scaler.step(run.optimizer)
            scaler.update()
    assert len(looks(tmp_path)) >= 5
    assert findings(tmp_path) == []


@pytest.mark.parametrize("options", [{}, {"optimizer": torch.optim.SGD, "momentum": 0.9}])
def test_a_killed_and_resumed_training_keeps_its_log(tmp_path, options):
    """SGD does not count its steps: a log without an end goes on where it was torn."""
    checkpoint, log = tmp_path / "last.pt", tmp_path / "log"
    last = 30 if not options else 40

    def train_and_die():
        run = Run(**options)
        with run.watch(log):
            run.train(last)
            torch.save(run.state(), checkpoint)
            run.train(last + (15 if not options else 0))
            os.kill(os.getpid(), signal.SIGKILL)

    child = multiprocessing.get_context("fork").Process(target=train_and_die)
    child.start()
    child.join()
    before = looks(log)
    assert child.exitcode == -signal.SIGKILL
    run = Run(**options)
    run.load(torch.load(checkpoint))
    with run.watch(log):
        run.train(60)
    steps = [line["step"] for line in looks(log)]
    assert looks(log)[: len(before)][:12] == before[:12]
    assert steps == sorted(set(steps))
    assert sum(len(line["losses"]) for line in looks(log)) == 60


def test_a_new_training_does_not_go_on_with_an_old_log(tmp_path):
    for _ in range(2):
        with (run := Run()).watch(tmp_path):
            run.train(20)
    assert len(looks(tmp_path)) == 11
    assert (tmp_path / "superseded.jsonl").exists()


def test_mistakes_of_the_watch_do_not_reach_the_training(tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("gonogo.watch.live.course.gradients", lambda _: 1 / 0)
    run = Run()
    with run.watch(tmp_path):
        run.train(30)
    assert run.steps == 30
    assert sum("the watch itself failed" in text for text in caplog.messages) == 1


def test_receivers_that_fail_are_told_of_once(tmp_path, caplog):
    class Broken:
        def log(self, step, values):
            raise OSError("https://user:secret-key@host refused")

        alert = close = log

    run = Run()
    with run.watch(tmp_path, sinks=[Broken()], on_alert=lambda finding: 1 / 0, nan="alert"):
        run.train(40, nan_from(12))
    assert run.steps == 40
    assert len(caplog.messages) == 3  # the finding, the receiver, the callback
    assert "secret-key" not in caplog.text


def test_a_folder_that_cannot_be_written_ends_no_training(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    run = Run()
    with run.watch(tmp_path / "file" / "log"):
        run.train(20)
    assert run.steps == 20


def test_a_log_that_cannot_be_written_costs_the_log_and_no_finding(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TrainingStopped, match="step 4: nan"), (run := Run()).watch(tmp_path / "file"):
        run.train(20, nan_from(3))


def test_a_watch_can_be_entered_again(tmp_path):
    run = Run()
    watch = run.watch(tmp_path)
    for end in (20, 40):
        with watch:
            run.train(end)
    assert sum(len(line["losses"]) for line in looks(tmp_path)) == 40


def test_a_training_inside_another_is_no_part_of_it(tmp_path):
    outer, inner = Run(), Run()
    with outer.watch(tmp_path / "outer"):
        outer.train(10)
        with inner.watch(tmp_path / "inner"):
            inner.train(20)
        outer.train(30)
    assert [looks(tmp_path / name)[-1]["step"] for name in ("outer", "inner")] == [30, 20]


def step_of_a_rival(run, weight, other):
    weight.sum().backward()
    other.step()


BETWEEN = {
    "nothing": (lambda *_: None, True),
    "a step for the same loss": (lambda run, weight, other: other.step(), True),
    "a step of a rival": (step_of_a_rival, False),
    "another data set": (lambda run, *_: setattr(run, "loader", Run().loader), False),
}


@pytest.mark.parametrize(("between", "told"), BETWEEN.values(), ids=BETWEEN)
def test_a_loss_that_grows_is_told_unless_another_optimizer_or_data_set_plays_along(tmp_path, between, told):
    run, weight = Run(), nn.Parameter(torch.zeros(1))
    other = torch.optim.SGD([weight])
    with run.watch(tmp_path):
        while run.steps < 260:
            run.train(run.steps + 20, lambda step, loss: loss + 1 + step**2 / 10)
            between(run, weight, other)
    assert ("divergence" in findings(tmp_path)) is told


def test_a_loss_whose_fall_was_before_the_log_need_not_fall(tmp_path):
    with (run := Run()).watch(tmp_path, start=1000):
        run.train(120, lambda step, loss: 0 * loss + 0.3)
    assert findings(tmp_path) == []


@pytest.mark.parametrize(
    ("schedule", "told"),
    [
        (lambda optimizer: torch.optim.lr_scheduler.StepLR(optimizer, 5), ["learning_rate"]),
        (lambda optimizer: torch.optim.swa_utils.SWALR(optimizer, 0.1), []),
        (lambda optimizer: optimizer.param_groups[0].update(initial_lr=0.1), []),
    ],
    ids=["of torch", "of averaging, which begins late", "of another library"],
)
def test_a_schedule_that_never_stepped_is_told_at_the_end(tmp_path, schedule, told):
    run = Run()
    kept = schedule(run.optimizer)
    with run.watch(tmp_path):
        run.train(30)
    assert findings(tmp_path) == told, kept


def test_memory_may_be_a_cache_in_the_first_epoch_and_a_buffer_where_no_loader_is(tmp_path):
    run = Run()
    with run.watch(tmp_path) as watch:
        ears = watch.live.ears
        assert ears.filling
        for steps, filling in ((5, True), (20, False)):
            run.train(steps)
            assert ears.filling is filling
        ears.by_index = False  # a stream
        assert not ears.filling


def test_pages_of_a_mapped_file_are_not_memory_in_use(tmp_path):
    (tmp_path / "tokens").write_bytes(bytes(32 * 2**20))
    with (tmp_path / "tokens").open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        before = memory()[0]["host"]
        assert sum(mapped[:: mmap.PAGESIZE]) == 0
        assert memory()[0]["host"] - before < 16 * 2**20


@pytest.mark.requirement("ARC-6.1")
@pytest.mark.parametrize(
    ("error", "words"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), "try batch_size=16 with gradient"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "try batch_size=16"),
    ],
)
def test_exhausted_memory_is_answered_with_a_smaller_batch(tmp_path, error, words):
    run = Run()

    def burst(step, loss):
        if step == 3:
            raise error
        return loss

    with pytest.raises(type(error)) as raised, run.watch(tmp_path):
        run.train(20, burst)
    assert raised.value is error
    assert words in error.__notes__[0]


def test_other_errors_go_through_as_they_are(tmp_path):
    with pytest.raises(RuntimeError) as raised, Run().watch(tmp_path):
        raise RuntimeError("of the program itself")
    assert not hasattr(raised.value, "__notes__")


@pytest.mark.requirement("ASTRO-5.2")
def test_alerts_reach_a_webhook_without_secrets(tmp_path):
    got = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_):
            pass

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    run = Run()
    address = f"http://127.0.0.1:{server.server_port}/hook"
    with pytest.raises(TrainingStopped), run.watch(tmp_path, webhook=address):
        run.train(20, nan_from(2))
    server.shutdown()
    server.server_close()
    assert [message["title"] for message in got] == ["gonogo: nan at step 3"]
    assert address not in (tmp_path / "log.jsonl").read_text()


def test_a_loader_without_a_batch_is_told_while_it_hangs(tmp_path, caplog):
    class Slow(torch.utils.data.IterableDataset):
        def __iter__(self):
            yield torch.zeros(4), torch.zeros(1)
            told.wait(5)
            yield torch.zeros(4), torch.zeros(1)

    run, told = Run(), threading.Event()
    run.loader = DataLoader(Slow(), 1)
    with run.watch(tmp_path, loader_seconds=0.05, on_alert=lambda finding: told.set()):
        run.train(2)
    assert findings(tmp_path) == ["dead_loader"]


def test_a_gate_is_found_by_name_and_its_collapse_told(tmp_path):
    run = Run()
    with torch.no_grad():
        run.model[0].bias.fill_(50.0)
    with run.watch(tmp_path, gates=("1",)):
        run.train(60)
    assert "collapse" in findings(tmp_path)
    assert looks(tmp_path)[-1]["values"]["gate/1"] == 1.0


def test_shares_collapse_when_one_stream_gets_all_from_all_samples():
    hard = nn.functional.one_hot(torch.arange(12) % 3).float()
    assert extremeness(hard) == pytest.approx(1 / 3)
    assert extremeness(torch.tensor([[1.0, 0.0]] * 8)) == 1.0
    assert extremeness(torch.randn(4, 4)) is None


@pytest.mark.requirement("SAFE-14")
def test_a_module_s_consultation_rate_is_a_live_value(tmp_path):
    run = Run()
    run.model[0].consultation_rate = lambda: 0.25
    with run.watch(tmp_path):
        run.train(3)
    assert looks(tmp_path)[0]["values"]["consultation_rate/0"] == 0.25


def test_everything_is_taken_out_again(tmp_path):
    run, backward = Run(), torch.autograd.backward
    with run.watch(tmp_path, gates=("1",)):
        assert torch.autograd.backward is not backward
    assert torch.autograd.backward is backward
    assert not run.model[1]._forward_hooks
    assert not run.optimizer._optimizer_step_post_hooks


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"nan": "halt"}, "watch.nan: input should be 'stop', 'alert', 'log' or 'off'"),
        ({"divergance": "stop"}, "watch.divergance: unknown key. .*Did you mean 'divergence'"),
        ({"webhook": "ftp://x:secret-key@host"}, "watch.webhook: "),
        ({"gates": ("0.weights",)}, "the model has no module '0.weights'"),
    ],
)
def test_settings_that_do_not_fit_are_refused_in_words(tmp_path, changes, words):
    with pytest.raises(ProfileError, match=words) as raised, Run().watch(tmp_path, **changes):
        pass
    assert "secret-key" not in str(raised.value)


def test_something_that_is_no_optimizer_is_refused(tmp_path):
    with pytest.raises(SubjectError, match=r"an optimizer of torch.optim was expected, float was found"):
        gonogo.watch(nn.Linear(1, 1), 0.1)


@pytest.mark.requirement("ASTRO-5.2")
def test_what_is_told_goes_to_the_log_of_python(tmp_path, caplog):
    run = Run()
    with caplog.at_level(logging.WARNING), pytest.raises(TrainingStopped), run.watch(tmp_path):
        run.train(20, nan_from(0))
    assert "step 1: nan: the optimizer stepped" in caplog.text


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_compiled_step_is_heard_and_what_hears_it_is_not_compiled(tmp_path, recwarn):
    run = Run()
    compiled = torch.compile(run.optimizer.step, backend="eager")
    with run.watch(tmp_path):
        for _ in range(12):
            run.optimizer.zero_grad()
            run.model(torch.randn(8, 4)).square().mean().backward()
            compiled()
    assert sum(len(line["losses"]) for line in looks(tmp_path)) == 12
    assert not [one for one in recwarn if "Dynamo does not know" in str(one.message)]
