"""Predicted step times beside what is known: a published run, a stated plan, and a step measured on this machine.

    python benchmarks/sizing/step_time.py [seconds of calibration]

Nothing is fitted: the shares of peak are those of gonogo.sizing.costs.roofline, and four other plausible sets show
how much they matter.
"""

import os
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.utils.checkpoint import CheckpointPolicy, checkpoint, create_selective_checkpoint_contexts

from gonogo.sizing.card import fake_card
from gonogo.sizing.costs.calibrate import calibrate
from gonogo.sizing.costs.cost import cost, seconds_at, step_time, work_of
from gonogo.sizing.costs.devices import device
from gonogo.sizing.costs.roofline import SHARES
from gonogo.sizing.programs.decoder import Decoder, DecoderShape, next_token_loss
from gonogo.sizing.programs.program import Program

PUBLISHED = 5762  # tokens a second on each of 8 cards: torchtitan, Llama-3.1 8B, sequences of 8192, 2 a card
CARDS = 8
LLAMA_8B = DecoderShape(4096, 32, 32, 14336, 128256, 8)
PLAN_13B = DecoderShape(5120, 40, 40, 15104, 131072, 8)
SETS = {
    "default": {},
    "optimistic": {"matmul": 0.78, "attention": 0.50, "memory": 0.90},
    "middle": {"matmul": 0.65, "attention": 0.35, "memory": 0.75},
    "pessimistic": {"matmul": 0.60, "attention": 0.30, "memory": 0.70},
}


class Checkpointed(nn.Module):
    """A layer that runs again in backward: all of it, or without attention and every second matrix product."""

    def __init__(self, layer, selective):
        super().__init__()
        self.layer, self.selective = layer, selective

    def forward(self, x, turn):
        options = {"context_fn": half_of_the_products} if self.selective else {}
        return checkpoint(self.layer, x, turn, use_reentrant=False, **options)


def half_of_the_products():
    seen = {True: 0, False: 0}

    def policy(context, operator, *args, **kwargs):
        if operator is torch.ops.aten.mm.default:
            seen[context.is_recompute] += 1
            if seen[context.is_recompute] % 2:
                return CheckpointPolicy.MUST_SAVE
        attention = operator is torch.ops.aten._scaled_dot_product_flash_attention.default
        return CheckpointPolicy.MUST_SAVE if attention else CheckpointPolicy.PREFER_RECOMPUTE

    return create_selective_checkpoint_contexts(policy)


def decoder(shape, rows, length, selective, cards=1):
    """One rank in bfloat16; with several cards, AdamW in float32 on its share of the weights. No exchanges."""

    def model():
        torch.set_default_dtype(torch.bfloat16)
        try:
            with torch.device(fake_card.DEVICE):
                built = Decoder(shape, length)
        finally:
            torch.set_default_dtype(torch.float32)
        for number, layer in enumerate(built.layers):
            built.layers[number] = Checkpointed(layer, selective)
        return built

    def optimizers(model):
        share = torch.empty(sum(p.numel() for p in model.parameters()) // cards, device=fake_card.DEVICE)
        share.grad = torch.empty_like(share)
        return [torch.optim.AdamW([share])]

    def update(model, optimizers, batch):
        next_token_loss(model, batch).backward()
        model.zero_grad()
        optimizers[0].step()

    tokens = lambda: torch.zeros(rows, length, dtype=torch.long, device=fake_card.DEVICE)
    batch = lambda: (tokens(), tokens())
    return Program("decoder", model, batch, next_token_loss, optimizers, update, tokens=rows * length)


def traced(program):
    with work_of() as work:
        program.trace(steps=2)
    return work


def published():
    program = decoder(LLAMA_8B, 2, 8192, True, CARDS)
    work = traced(program)
    card = replace(device("H100"), bandwidth=2.4e12, power_watts=500)  # as its authors describe the card
    memory = work.total("memory") / 1e9
    print(f"8B on {CARDS} H100: {work.flops / 1e12:.0f} TFLOP and {memory:.0f} GB a step; published {PUBLISHED} tok/s")
    for name, shares in SETS.items():
        rate = step_time(work, card, shares={**SHARES, **shares}).seconds.over(program.tokens)
        error = 100 * (rate.point / PUBLISHED - 1)
        print(f"  {name:12} {rate.low:6.0f} .. {rate.point:6.0f} .. {rate.high:6.0f} tok/s, point {error:+.1f} %")


def plan():
    card, tokens = device("A5000"), 131_072
    flops = 8 * PLAN_13B.parameters * tokens
    stated = seconds_at(flops, card, 2, 0.40)
    print(
        f"{PLAN_13B.parameters / 1e9:.3f}B: {flops / 1e15:.1f} PFLOP a step by 8 N, {stated:.0f} s on 2 A5000 at 40 %"
    )
    work = traced(decoder(PLAN_13B, 1, 2048, False))
    print(f"  traced: {work.flops * 64 / 1e15:.1f} PFLOP executed, {work.model_flops * 64 / 1e15:.1f} needed")
    time_ = step_time(work, card)
    run = cost(work, time_, card, 2, 2 * 2048, 2.6e11)
    share = run.share(days=28)
    print(
        f"  28 days buy {100 * share.low:.2f} .. {100 * share.high:.2f} % of 2.6e11 tokens, if it fitted; {run.price}"
    )


def network():
    return nn.Sequential(nn.Linear(512, 2048), nn.GELU(), nn.Linear(2048, 2048), nn.GELU(), nn.Linear(2048, 512))


def convolutions():
    first, second = nn.Conv2d(3, 32, 3, padding=1), nn.Conv2d(32, 64, 3, padding=1)
    return nn.Sequential(first, nn.ReLU(), second, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def small_decoder():
    return Decoder(DecoderShape(256, 4, 4, 768, 4096), 256)


def subjects():
    """(name, model, its batch on a device, loss)."""
    import transformer

    square = lambda model, x: model(x).square().mean()
    tokens = lambda rows, length, at: torch.zeros(rows, length, dtype=torch.long, device=at)
    text = lambda at: tokens(8, transformer.LENGTH + 1, at)
    yield "benchmarks/transformer.py, with dropout", transformer.Model, text, transformer.loss
    yield "fully connected", network, lambda at: torch.rand(256, 512, device=at), square
    yield "convolutions", convolutions, lambda at: torch.rand(32, 3, 32, 32, device=at), square
    yield "decoder", small_decoder, lambda at: (tokens(4, 256, at), tokens(4, 256, at)), next_token_loss


def adamw(model):
    return [torch.optim.AdamW(model.parameters())]


def on_card(build):
    with torch.device(fake_card.DEVICE):
        return build()


def measured(model, batch, loss):
    """Median seconds of a step: of one core, and by the clock."""
    [optimizer], took = adamw(model), []
    for _ in range(13):
        begin = time.process_time(), time.perf_counter()
        optimizer.zero_grad()
        loss(model, batch).backward()
        optimizer.step()
        took.append((time.process_time() - begin[0], time.perf_counter() - begin[1]))
    return (median(column) for column in zip(*took[3:], strict=True))


def here(seconds):
    torch.set_num_threads(1)
    card = calibrate(seconds, "cpu")
    print(f"this CPU, one thread: {card.flops['float32'] / 1e9:.0f} GFLOP/s, {card.bandwidth / 1e9:.0f} GB/s")
    for name, build, batch, loss in subjects():
        program = Program(name, partial(on_card, build), partial(batch, fake_card.DEVICE), loss, adamw)
        predicted = step_time(traced(program), card).seconds
        core, clock = measured(build(), batch("cpu"), loss)
        print(f"  {name}: predicted {predicted.low:.3f} .. {predicted.point:.3f} .. {predicted.high:.3f} s, ", end="")
        print(f"measured {core:.3f} s, factor {predicted.point / core:.2f} ({clock:.3f} s by the clock)")
    print(f"  load {os.getloadavg()[0]:.0f} on {os.cpu_count()} cores")


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent.parent))
    published()
    plan()
    here(float(sys.argv[1]) if len(sys.argv) > 1 else 10.0)
