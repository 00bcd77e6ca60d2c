"""Trainers as people write them: what the adapter does at each step is what Trainer.train() does."""

import contextlib
import copy
import inspect
import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional

from gonogo.adapters import frameworks
from gonogo.audit.source import sources
from gonogo.training.session import Session

pytestmark = pytest.mark.filterwarnings("ignore")  # the framework warns about itself
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from transformers import Trainer, TrainingArguments


class Tagger(nn.Module):
    """Takes any keyword, as the models of the library do; divides by the items or ignores them."""

    def __init__(self, divides=True):
        super().__init__()
        self.divides, self.layer = divides, nn.Embedding(8, 3)

    def forward(self, ids, labels=None, **kwargs):
        logits = self.layer(ids)
        items = kwargs.get("num_items_in_batch") if self.divides else None
        how = "mean" if items is None else "sum"
        loss = functional.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction=how)
        return {"loss": loss if items is None else loss / items, "logits": logits}


def sentences():
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(8, (16, 6), generator=generator)
    ends = torch.randint(1, 7, (16, 1), generator=generator)
    return [
        {"ids": one, "labels": (one % 3).where(torch.arange(6) < end, -100)} for one, end in zip(ids, ends, strict=True)
    ]


class Straight(Trainer):
    def _get_train_sampler(self, *args):
        return torch.utils.data.SequentialSampler(self.train_dataset)


def trainer(folder, model, every=1, kind=Straight, **given):
    arguments = TrainingArguments(
        str(folder),
        per_device_train_batch_size=4,
        gradient_accumulation_steps=every,
        num_train_epochs=1,
        learning_rate=0.1,
        optim="sgd",
        report_to="none",
        save_strategy="no",
        use_cpu=True,
        disable_tqdm=True,
    )
    return kind(model, arguments, train_dataset=sentences(), **given)


@pytest.mark.parametrize("every", [1, 2, 4])
@pytest.mark.parametrize("divides", [True, False])
def test_accumulated_steps_lead_to_the_weights_of_trainer_train(tmp_path, every, divides):
    start = Tagger(divides)
    real = trainer(tmp_path, copy.deepcopy(start), every)
    real.train()

    def build():
        return trainer(tmp_path, copy.deepcopy(start), every)

    session = Session(frameworks.as_subject(build(), build, "run"))
    for batch in session.batches(limit=4):
        session.step(batch)
    assert torch.allclose(session.model.layer.weight, real.model.layer.weight, atol=1e-6)


def own_optimizer(folder):
    model = Tagger()
    optimizer = torch.optim.Adam(model.parameters(), lr=0.25)
    return trainer(folder, model, optimizers=(optimizer, torch.optim.lr_scheduler.ConstantLR(optimizer, 1.0)))


def test_arguments_about_an_optimizer_are_no_configuration_where_a_ready_one_was_given(tmp_path):
    subject = frameworks.as_subject(own_optimizer(tmp_path), lambda: own_optimizer(tmp_path), "run")
    assert not {"learning_rate", "weight_decay", "lr_scheduler_type"} & set(subject.config)


def test_a_live_trainer_keeps_the_optimizer_that_it_was_given(tmp_path):
    session = Session(frameworks.of_live(own_optimizer(tmp_path), "run"))
    assert isinstance(session.optimizer, torch.optim.Adam)
    assert session.optimizer.param_groups[0]["params"][0] is session.model.layer.weight


class Taught(Straight):
    def __init__(self, *args, teacher=None, **given):
        super().__init__(*args, **given)
        self.teacher = teacher

    def compute_loss(self, model, inputs, **given):
        return super().compute_loss(model, inputs) + self.teacher(model.layer.weight).square().mean()


def test_a_live_trainer_keeps_what_its_class_was_given_and_trains_a_copy(tmp_path):
    live = Taught(Tagger(), trainer(tmp_path, Tagger()).args, train_dataset=sentences(), teacher=nn.Linear(3, 1))
    before = live.model.layer.weight.clone()
    session = Session(frameworks.of_live(live, "run"))
    session.step(session.batches(limit=1)[0])
    assert torch.equal(live.model.layer.weight, before)
    assert not torch.equal(session.model.layer.weight, before)


@pytest.mark.parametrize("best", ["loss", "eval_loss", "lost"])
def test_a_best_model_by_a_metric_that_evaluation_does_not_report_is_refused(tmp_path, best):
    def build():
        made = trainer(tmp_path, Tagger(), eval_dataset=sentences())
        made.args.eval_strategy, made.args.metric_for_best_model = "epoch", best
        return made

    subject = frameworks.as_subject(build(), build, "run")
    wrong = pytest.raises(KeyError, match="Did you mean 'eval_loss'") if best == "lost" else contextlib.nullcontext()
    with wrong:
        subject.evaluate(Session(subject).model, subject.splits["valid"].batches())


def test_how_long_something_took_is_no_score(tmp_path):
    def build():
        made = trainer(tmp_path, Tagger(), eval_dataset=sentences())
        made.model_preparation_time = 0.25
        return made

    subject = frameworks.as_subject(build(), build, "run")
    assert set(subject.evaluate(Session(subject).model, subject.splits["valid"].batches())) == {"eval_loss"}


def test_the_source_of_the_function_that_builds_a_trainer_is_found(tmp_path):
    def build():
        return trainer(tmp_path, Tagger())

    files = {one.path for one in sources(frameworks.as_subject(build(), build, "run"))}
    assert inspect.getfile(build) in files


@pytest.mark.parametrize(("arguments", "updates"), [({"max_steps": 7}, 7), ({"num_train_epochs": 1.5}, 3)])
def test_the_length_of_the_run_is_the_one_that_the_trainer_counts(tmp_path, arguments, updates):
    built = trainer(tmp_path, Tagger(), every=3)  # four batches: two updates, the second of one batch
    vars(built.args).update(arguments)
    subject = frameworks.as_subject(built, lambda: built, "run")
    assert subject.claims.total_steps == updates
    assert built.set_initial_training_values(built.args, built.get_train_dataloader())[-1] == updates


class Asks(nn.Module):
    """A loss that holds the model, as those of sentence-transformers do."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, inputs):
        return self.model(**inputs)["loss"]


class Held(Straight):
    def __init__(self, model, *args, **kwargs):
        super().__init__(model, *args, **kwargs)
        self.own_loss = Asks(model)

    def compute_loss(self, model, inputs, *args, **kwargs):
        return self.own_loss(inputs)


@pytest.mark.parametrize("live", [False, True])
def test_a_loss_that_holds_the_model_is_asked_of_the_copy_at_hand(tmp_path, live):
    def build():
        return trainer(tmp_path, Tagger(), kind=Held)

    subject = frameworks.of_live(build(), "run") if live else frameworks.as_subject(build(), build, "run")
    session = Session(subject)
    batch = session.batches(limit=1)[0]
    for model, idle in ((copy.deepcopy(session.model), session.model), (session.model, None)):
        session.subject.loss(model, batch).backward()
        assert model.layer.weight.grad is not None
        assert idle is None or idle.layer.weight.grad is None
