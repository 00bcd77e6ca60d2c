"""One-line faults of a training loop: each turns examples/plain_train.py into a run that must not be launched."""

from dataclasses import dataclass
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "examples" / "plain_train.py"


@dataclass(frozen=True)
class Fault:
    """`old` in the script becomes `new`; `check` must fail and be named first, or warn where no more can be known."""

    name: str
    check: str
    old: str
    new: str
    warns: bool = False

    def broken(self) -> str:
        """The script with the fault."""
        text = SCRIPT.read_text(encoding="utf-8")
        assert text.count(self.old) == 1, f"{self.name}: {text.count(self.old)} places fit"
        return text.replace(self.old, self.new)


CLIP = "            nn.utils.clip_grad_norm_(model.parameters(), args.clip)\n"
STEP = "            optimizer.step()\n"
TICK = "            scheduler.step()\n"
ZERO = "            optimizer.zero_grad()\n"
BACKWARD = "            loss.backward()\n"
LOSS = "            loss = F.cross_entropy(logits, y)\n"
LOGITS = "            logits = model(x)\n"
OPTIMIZER = "    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=1e-2)\n"
SCHEDULER = "torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=args.epochs * len(train_loader))"
EPOCH = "    for epoch in range(args.epochs):\n        model.train()\n"
TRAIN_LOADER = "    train_loader = DataLoader(train_set, batch_size=args.batch_size, shuffle=True)\n"

FAULTS = (
    Fault("zero_grad_missing", "clearing", ZERO, ""),
    Fault(
        "zero_grad_once_per_epoch", "clearing", ZERO, "            optimizer.zero_grad() if running == 0 else None\n"
    ),
    Fault("zero_grad_between_backward_and_step", "parameters", BACKWARD, BACKWARD + ZERO),
    Fault("stepped_twice", "clearing", STEP, STEP + STEP),
    Fault("step_outside_the_loop", "clearing", STEP, "            optimizer.step() if running == 0 else None\n"),
    Fault("clip_after_step", "clipping", CLIP + STEP, STEP + CLIP),
    Fault("clip_before_backward", "clipping", BACKWARD + CLIP, CLIP + BACKWARD),
    Fault("optimizer_of_the_head_only", "parameters", "AdamW(model.parameters()", "AdamW(model.head.parameters()"),
    Fault("model_built_anew", "parameters", OPTIMIZER, OPTIMIZER + "    model = Net().to(device)\n"),
    Fault("features_detached", "parameters", "self.features(x).flatten(1)", "self.features(x).detach().flatten(1)"),
    Fault("softmax_in_the_model", "loss-inputs", "self.head(self.dropout(x))", "self.head(self.dropout(x)).softmax(1)"),
    Fault(
        "softmax_before_the_loss", "loss-inputs", LOSS, "            loss = F.cross_entropy(F.softmax(logits, 1), y)\n"
    ),
    Fault("scores_into_nll_loss", "loss-inputs", LOSS, "            loss = F.nll_loss(logits, y)\n"),
    Fault("loss_negated", "loss-inputs", BACKWARD, "            (-loss).backward()\n"),
    Fault("not_shuffled", "order", TRAIN_LOADER, TRAIN_LOADER.replace(", shuffle=True", "")),
    Fault("seeded_in_every_epoch", "order", EPOCH, EPOCH + "        torch.manual_seed(args.seed)\n"),
    Fault(
        "first_batches_only",
        "epochs",
        "        for x, y in train_loader:\n",
        "        for _, (x, y) in zip(range(4), DataLoader(train_set, args.batch_size)):\n",
    ),
    Fault("eval_missing", "evaluation-mode", "    model.eval()\n", ""),
    Fault(
        "train_mode_not_restored",
        "training-mode",
        EPOCH,
        "    model.train()\n    for epoch in range(args.epochs):\n",
    ),
    Fault("best_by_reference", "best-weights", "copy.deepcopy(model.state_dict())", "model.state_dict()"),
    Fault(
        "best_by_shallow_copy",
        "best-weights",
        "copy.deepcopy(model.state_dict())",
        "{k: v.cpu() for k, v in model.state_dict().items()}",
    ),
    Fault(
        "schedule_in_epochs_stepped_per_batch", "schedule", "T_max=args.epochs * len(train_loader)", "T_max=args.epochs"
    ),
    Fault(
        "schedule_in_steps_stepped_per_epoch",
        "schedule",
        TICK,
        "            scheduler.step() if running == 0 else None\n",
    ),
    Fault("scheduler_never_stepped", "schedule", TICK, ""),
    Fault("scheduler_before_optimizer", "schedule", STEP + TICK, TICK + STEP),
    Fault("learning_rate_zero", "learning-rate", "lr=args.lr,", "lr=args.lr * 0,"),
    Fault(
        "decay_per_batch", "learning-rate", SCHEDULER, "torch.optim.lr_scheduler.ExponentialLR(optimizer, gamma=0.5)"
    ),
    Fault("square_root_of_a_negative_loss", "nonfinite", BACKWARD, "            (loss - 0.5).sqrt().backward()\n"),
    Fault("learning_rate_exploded", "learning-rate", "lr=args.lr,", "lr=args.lr * 1e7,"),
    Fault(
        "scaled_but_not_unscaled",
        "precision",
        BACKWARD,
        '            torch.amp.GradScaler("cpu").scale(loss).backward()\n',
    ),
    Fault(
        "autocast_ends_too_early",
        "precision",
        LOGITS,
        '            with torch.autocast("cpu", torch.bfloat16):\n                x = x.clone()\n' + LOGITS,
    ),
    Fault(
        "validation_data_dropped",
        "epochs",
        "valid_loader = DataLoader(valid_set, batch_size=args.batch_size)",
        "valid_loader = DataLoader(valid_set, batch_size=1024, drop_last=True)",
    ),
    Fault("validated_on_the_training_data", "held-out", "evaluate(model, valid_", "evaluate(model, train_", warns=True),
    Fault(
        "validation_augmented",
        "evaluation-data",
        "valid_loader = DataLoader(valid_set, batch_size=args.batch_size)",
        "noisy = lambda rows: tuple(map(torch.stack, zip(*((x + torch.randn_like(x) / 9, y) for x, y in rows))))\n"
        "    valid_loader = DataLoader(valid_set, batch_size=args.batch_size, collate_fn=noisy)",
        warns=True,
    ),
    Fault(
        "validation_not_normalised",
        "evaluation-data",
        "    return part(train), part(valid)\n",
        "    pixels[valid] *= 16\n    return part(train), part(valid)\n",
        warns=True,
    ),
    Fault(
        "micro_batches_not_divided",
        "loss-gradient",
        LOGITS + LOSS + BACKWARD,
        "            for part in range(4):\n"
        "                loss = F.cross_entropy(model(x[part::4]), y[part::4])\n"
        "                loss.backward()\n",
        warns=True,
    ),
)
