"""Odd but right multimodal programs, none of which may be accused by any check of the category."""

import pytest
import torch
from torch import nn
from torch.nn import functional
from torch.nn.utils.rnn import pack_padded_sequence

from gonogo.core.catalogue import discover
from gonogo.core.check import Effort
from gonogo.core.criterion import Status
from gonogo.testing.contract import answer
from gonogo.training.claims import Claims
from gonogo.training.subject import Subject

CHECKS = [check for check in discover() if check.category == "modality" or check.id == "model.mask-polarity"]
B, D = 8, 8
A, V = 5, 6  # features


def masks(lengths, t):
    return torch.arange(t) < torch.tensor(lengths).unsqueeze(1)


def batch(seed, *, left=False):
    """Audio [b, 6, A] and vision [b, 7, V] filled up with zeros, text ids [b, 5], one label that all show."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randint(2, (B,), generator=generator)
    found = {"label": label}
    for name, t, size in (("audio", 6, A), ("vision", 7, V), ("text", 5, 1)):
        lengths = torch.randint(2, t + 1, (B,), generator=generator).tolist()
        lengths[0] = t
        mask = masks(lengths, t)
        mask = mask.flip(1) if left else mask
        x = torch.randn(B, t, size, generator=generator) + 2.0 * label[:, None, None]
        x = (2 + 3 * label[:, None] + (x[..., 0] > 1)) if name == "text" else x
        found[name] = x * (mask if name == "text" else mask.unsqueeze(-1))
        found[f"{name}_mask"] = mask
    return found


def mean(x, mask):
    mask = mask.bool()
    return x.masked_fill(~mask.unsqueeze(-1), 0.0).sum(1) / mask.sum(1, keepdim=True).clamp(min=1)


class Streams(nn.Module):
    """Linear inputs of audio and vision, an embedding of text, and a head over what `parts` returns for them."""

    def __init__(self, width=3 * D):
        super().__init__()
        self.audio, self.vision, self.text = nn.Linear(A, D), nn.Linear(V, D), nn.Embedding(8, D)
        self.head = nn.Linear(width, 2)

    def parts(self, batch):
        return [mean(getattr(self, name)(batch[name]), batch[f"{name}_mask"]) for name in ("audio", "vision", "text")]

    def forward(self, batch):
        return self.head(torch.cat(self.parts(batch), -1))


class WithoutMasks(Streams):
    """Averages over zeros too: the model is told of no padding."""

    def parts(self, batch):
        return [getattr(self, name)(batch[name]).mean(1) for name in ("audio", "vision", "text")]


class Transformers(Streams):
    """torch's own layers: hidden keys get weight zero, and zero times nan is nan."""

    def __init__(self):
        super().__init__()
        self.layer = nn.TransformerEncoderLayer(D, 2, 16, dropout=0.0, batch_first=True)

    def parts(self, batch):
        hidden = [(getattr(self, n)(batch[n]), batch[f"{n}_mask"]) for n in ("audio", "vision", "text")]
        return [mean(self.layer(x, src_key_padding_mask=~mask), mask) for x, mask in hidden]


class Additive(Streams):
    """Attention with a mask of -10000, as in older language models."""

    def parts(self, batch):
        found = []
        for name in ("audio", "vision", "text"):
            x, mask = getattr(self, name)(batch[name]), batch[f"{name}_mask"]
            scores = x @ x.transpose(1, 2) + (1.0 - mask.to(x.dtype)).unsqueeze(1) * -1e4
            found.append(mean(scores.softmax(-1) @ x, mask))
        return found


class Demanding(Streams):
    """Refuses a sample without any text in its own words."""

    def forward(self, batch):
        if not batch["text_mask"].any(1).all():
            raise ValueError("every sample needs some text")
        return super().forward(batch)


class Packed(Streams):
    """Recurrent, packed by the number of real steps."""

    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(D, D // 2, batch_first=True, bidirectional=True)

    def parts(self, batch):
        found = []
        for name in ("audio", "vision", "text"):
            lengths = batch[f"{name}_mask"].sum(1).cpu()
            x = pack_padded_sequence(getattr(self, name)(batch[name]), lengths, batch_first=True, enforce_sorted=False)
            found.append(self.gru(x)[1].transpose(0, 1).flatten(1))
        return found


class Dropping(Streams):
    """Drops the audio of a sample now and then, never the text."""

    def __init__(self):
        super().__init__()
        self.modality_dropout = 0.3

    def parts(self, batch):
        audio, *rest = super().parts(batch)
        keep = torch.rand(len(audio), 1) >= self.modality_dropout if self.training else torch.ones(len(audio), 1)
        return [audio.where(keep.bool(), torch.zeros(())), *rest]


class DroppingPerBatch(Dropping):
    """Drops one stream of the whole batch, if any."""

    def parts(self, batch):
        found = Streams.parts(self, batch)
        if self.training and float(torch.rand(())) < self.modality_dropout:
            found[int(torch.randint(3, ()))] = torch.zeros_like(found[0])
        return found


class Regularised(Streams):
    """Much dropout, of hidden units and not of streams; batch statistics tie the samples to each other."""

    def __init__(self):
        super().__init__()
        self.norm, self.dropout = nn.BatchNorm1d(3 * D), nn.Dropout(0.5)

    def forward(self, batch):
        return self.head(self.dropout(self.norm(torch.cat(self.parts(batch), -1))))


def loss(model, batch):
    return functional.cross_entropy(model(batch), batch["label"])


def subject(model, batches, loss=loss, modalities=("audio", "vision", "text"), **claims):
    return Subject(
        "by hand",
        model=model,
        loss=loss,
        optimizer=lambda model: torch.optim.Adam(model.parameters(), lr=1e-2),
        splits={"train": lambda: batches},
        claims=Claims(modalities=modalities, **claims),
    )


def renamed(change):
    return [change(batch(seed)) for seed in range(8)]


def aligned():
    """Streams of one length, joined step by step, with one mask for both."""

    class Joined(Streams):
        def parts(self, batch):
            x = torch.cat([self.audio(batch["audio"]), self.vision(batch["vision"])], -1)
            return [mean(x, batch["mask"])]

    def change(one):
        mask = one["audio_mask"]
        return {"audio": one["audio"], "vision": one["vision"][:, :6] * mask.unsqueeze(-1), "mask": mask, **LABEL(one)}

    return subject(lambda: Joined(2 * D), renamed(change), modalities=("audio", "vision"))


def LABEL(one):
    return {"label": one["label"]}


def nested():
    def change(one):
        names = ("audio", "vision", "text")
        return {"in": {n: {"x": one[n], "mask": one[f"{n}_mask"]} for n in names}, **LABEL(one)}

    class Nested(Streams):
        def forward(self, batch):
            flat = {n: part["x"] for n, part in batch["in"].items()}
            return super().forward(flat | {f"{n}_mask": part["mask"] for n, part in batch["in"].items()})

    return subject(Nested, renamed(change))


def as_tuple():
    class Pair(Streams):
        def forward(self, audio, vision, audio_mask, vision_mask):
            parts = mean(self.audio(audio), audio_mask), mean(self.vision(vision), vision_mask)
            return self.head(torch.cat(parts, -1))

    def pair_loss(model, batch):
        return functional.cross_entropy(model(*batch[:4]), batch[4])

    batches = renamed(lambda o: (o["audio"], o["vision"], o["audio_mask"], o["vision_mask"], o["label"]))
    return subject(lambda: Pair(2 * D), batches, pair_loss, ("0", "1"), target=4)


def turned():
    """True means padding, on both sides."""

    class Turned(Streams):
        def parts(self, batch):
            names = ("audio", "vision", "text")
            return [mean(getattr(self, n)(batch[n]), ~batch[f"{n}_padding_mask"]) for n in names]

    return subject(
        Turned, renamed(lambda o: {k.replace("_mask", "_padding_mask"): ~v if "mask" in k else v for k, v in o.items()})
    )


def weighted():
    """A quality for each step weighs it; the mask is said by the claims."""

    class Weighted(Streams):
        def parts(self, batch):
            weights = (batch["audio_quality"] * batch["audio_mask"]).unsqueeze(-1)
            x = self.audio(batch["audio"].where(batch["audio_mask"].unsqueeze(-1), 0.0))
            return [(x * weights).sum(1) / weights.sum(1).clamp(min=1e-6), *super().parts(batch)[1:]]

    named = {"audio": "audio_mask"}
    return subject(Weighted, renamed(lambda o: o | {"audio_quality": torch.full((B, 6), 0.5)}), masks=named)


def towers():
    """Pictures and their captions find each other in the batch."""

    class Towers(nn.Module):
        def __init__(self):
            super().__init__()
            self.image, self.caption = nn.Linear(12, D), nn.Embedding(8, D)

        def forward(self, image, caption, mask):
            one, other = self.image(image.flatten(1)), mean(self.caption(caption), mask)
            return functional.normalize(one, dim=-1) @ functional.normalize(other, dim=-1).T * 5

    def towers_loss(model, batch):
        scores = model(batch["image"], batch["caption"], batch["attention_mask"])
        return functional.cross_entropy(scores, torch.arange(len(scores)))

    def change(one):
        image = one["vision"][:, :2] + 0.1 * torch.arange(6)
        return {"image": image, "caption": one["text"], "attention_mask": one["text_mask"].long()}

    return subject(Towers, renamed(change), towers_loss, ("image", "caption"), couples_batch=True, pad_id=0)


def question_about_a_picture():
    """A picture without time, and a question with padding."""

    class Answers(nn.Module):
        def __init__(self):
            super().__init__()
            self.eyes, self.words = nn.Conv2d(3, D, 3, padding=1), nn.Embedding(8, D)
            self.head = nn.Linear(2 * D, 2)

        def forward(self, batch):
            seen = self.eyes(batch["image"]).relu().mean((2, 3))
            return self.head(torch.cat([seen, mean(self.words(batch["question"]), batch["question_mask"])], -1))

    def change(one):
        image = torch.randn(B, 3, 8, 8, generator=torch.Generator().manual_seed(3)) + one["label"][:, None, None, None]
        return {"image": image, "question": one["text"], "question_mask": one["text_mask"], **LABEL(one)}

    return subject(Answers, renamed(change), modalities=("image", "question"))


def present_or_not():
    """One flag per sample says whether there is audio."""

    class Flagged(Streams):
        def parts(self, batch):
            audio, *rest = super().parts(batch)
            return [audio.where(batch["audio_present"].unsqueeze(-1), torch.zeros(())), *rest]

    def change(one):
        return one | {"audio_present": torch.arange(B) % 3 > 0, "audio_mask": torch.ones(B, 6, dtype=torch.bool)}

    return subject(Flagged, renamed(change), masks={"audio": "audio_present"})


def rebuilt():
    """A masked autoencoder: the mask hides steps that the loss asks for."""

    class Rebuilds(nn.Module):
        def __init__(self):
            super().__init__()
            self.encode, self.decode = nn.Linear(A, D), nn.Linear(D, A)

        def forward(self, x, mask):
            return self.decode(self.encode(x.masked_fill(mask.unsqueeze(-1), 0.0)).mean(1, keepdim=True)).expand_as(x)

    def rebuilt_loss(model, batch):
        error = (model(batch["audio"], batch["audio_mask"]) - batch["audio"]).square().mean(-1)
        return error[batch["audio_mask"]].mean()

    def change(one):
        hidden = torch.rand(B, 6, generator=torch.Generator().manual_seed(1)) < 0.4
        return {"audio": torch.randn(B, 6, A), "audio_mask": hidden}

    torch.manual_seed(0)
    return subject(Rebuilds, renamed(change), rebuilt_loss, ("audio",))


def in_front():
    return subject(Transformers, [batch(seed, left=True) for seed in range(8)])


def convolved():
    """A convolution reads the zeros behind the audio, as most do."""

    class Convolved(Streams):
        def __init__(self):
            super().__init__()
            self.near = nn.Conv1d(D, D, 3, padding=1)

        def parts(self, batch):
            x = self.near(self.audio(batch["audio"]).transpose(1, 2)).transpose(1, 2)
            return [mean(x, batch["audio_mask"]), *super().parts(batch)[1:]]

    return subject(Convolved, renamed(dict))


def plain(model, **claims):
    return lambda: subject(model, renamed(dict), **claims)


PROGRAMS = {
    "means": plain(Streams, masks={name: f"{name}_mask" for name in ("audio", "vision", "text")}),
    "without masks": plain(WithoutMasks),
    "transformers": plain(Transformers),
    "additive": plain(Additive),
    "demanding": plain(Demanding),
    "packed": plain(Packed),
    "dropping": plain(Dropping),
    "per batch": plain(DroppingPerBatch),
    "regularised": plain(Regularised),
    "aligned": aligned,
    "nested": nested,
    "tuple": as_tuple,
    "turned": turned,
    "weighted": weighted,
    "towers": towers,
    "question": question_about_a_picture,
    "present": present_or_not,
    "rebuilt": rebuilt,
    "in front": in_front,
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("check", [check for check in CHECKS if check.effort < Effort.FIT], ids=lambda check: check.id)
def test_a_right_program_is_not_accused(check, program):
    result = answer(check, PROGRAMS[program]())
    assert result.status <= Status.SKIP, result.reason


@pytest.mark.slow
@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("check", [check for check in CHECKS if check.effort == Effort.FIT], ids=lambda check: check.id)
def test_a_right_program_is_not_accused_after_training(check, program):
    assert answer(check, PROGRAMS[program]()).status <= Status.SKIP


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.id)
def test_a_convolution_over_zeros_is_never_more_than_a_warning(check):
    assert answer(check, convolved()).status <= Status.WARN
