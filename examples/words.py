"""Predict how people rate the sentiment of an English word from its letters alone.

    python examples/words.py                           trains both folds and shows what the leak is worth
    gonogo run examples/words.py:grouped_folds         the honest split: GO
    gonogo run examples/words.py:random_folds          the split that leaks: NO-GO

The ratings are real: ten people rated each word of the VADER lexicon from -4 to 4. Words come in families (abandon,
abandoned, abandonment) that are rated alike. A split that ignores the families puts their members on both sides, and
then the validation error measures memory where it should measure what the model knows of unseen words.
"""

import statistics
from ast import literal_eval
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from functools import cache, partial
from importlib.resources import files
from operator import attrgetter
from pathlib import Path
from typing import NamedTuple, TypedDict

import torch
from sklearn.model_selection import GroupShuffleSplit
from snowballstemmer import stemmer
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence
from torch.optim import AdamW, Optimizer
from torch.utils.data import DataLoader, Dataset

from gonogo import Claims, Split, Subject

ALPHABET = "abcdefghijklmnopqrstuvwxyz"
PADDING = 0  # letters are 1..26
PARAMETERS = 34_689


@dataclass(frozen=True)
class Config:
    epochs: int = 12
    batch_size: int = 64
    lr: float = 3e-3
    weight_decay: float = 1e-2
    seed: int = 0


DEFAULTS = Config()


class Word(NamedTuple):
    token: str
    stem: str
    ratings: list[int]  # one per rater, -4..4

    @property
    def rating(self) -> float:
        return statistics.fmean(self.ratings)


class Sample(TypedDict):
    characters: Tensor  # [length]
    rating: Tensor  # [], mean over the raters
    group: str  # stem; says who belongs together, never shown to the model


class Batch(TypedDict):
    characters: Tensor  # [batch, longest], PADDING after the end of a word
    lengths: Tensor  # [batch]
    rating: Tensor  # [batch]
    group: list[str]


@cache
def read_lexicon() -> tuple[Word, ...]:
    """The words of the lexicon that consist of letters only, each once; emoticons are left out."""
    lines = files("vaderSentiment").joinpath("vader_lexicon.txt").read_text(encoding="utf-8").splitlines()
    entries = (line.split("\t") for line in lines)  # token, mean, standard deviation, ratings
    ratings = {token: literal_eval(each) for token, _, _, each in entries if set(token) <= set(ALPHABET)}
    stems = stemmer("english").stemWords(list(ratings))
    return tuple(Word(token, stem, ratings[token]) for token, stem in zip(ratings, stems, strict=True))


class Words(Dataset[Sample]):
    """Words as letter numbers with their mean rating, one sample per index."""

    def __init__(self, words: Sequence[Word]) -> None:
        self.words = words

    def __len__(self) -> int:
        return len(self.words)

    def __getitem__(self, index: int) -> Sample:
        word = self.words[index]
        return {
            "characters": torch.tensor([ALPHABET.index(letter) + 1 for letter in word.token]),
            "rating": torch.tensor(word.rating),
            "group": word.stem,
        }

    def groups(self) -> list[str]:
        return [word.stem for word in self.words]


def collate(samples: Sequence[Sample]) -> Batch:
    """One batch of words of different lengths."""
    characters = [sample["characters"] for sample in samples]
    return {
        "characters": pad_sequence(characters, batch_first=True, padding_value=PADDING),
        "lengths": torch.tensor([len(each) for each in characters]),
        "rating": torch.stack([sample["rating"] for sample in samples]),
        "group": [sample["group"] for sample in samples],
    }


class WordNet(nn.Module):
    """Letter embedding, two convolutions and a maximum over the word; -> ratings [batch].

    What stands after the end of a word is masked by its length at each step, so it cannot change the answer.
    """

    def __init__(self, width: int = 64) -> None:
        super().__init__()
        self.embedding = nn.Embedding(len(ALPHABET) + 1, width, padding_idx=PADDING)
        self.narrow = nn.Conv1d(width, width, kernel_size=3, padding=1)
        self.wide = nn.Conv1d(width, width, kernel_size=5, padding=2)
        self.dropout = nn.Dropout(0.25)
        self.head = nn.Linear(width, 1)

    def forward(self, characters: Tensor, lengths: Tensor) -> Tensor:
        positions = torch.arange(characters.shape[1], device=characters.device)
        outside = (positions >= lengths[:, None]).unsqueeze(1)  # [batch, 1, longest]
        letters = self.embedding(characters).transpose(1, 2).masked_fill(outside, 0)  # [batch, width, longest]
        trigrams = self.narrow(letters).relu().masked_fill(outside, 0)
        parts = self.wide(trigrams).masked_fill(outside, -torch.inf)
        return self.head(self.dropout(parts.amax(dim=2).relu())).squeeze(1)


def split_words(unit: Callable[[Word], str]) -> tuple[Words, Words]:
    """Training and validation words, 80 % and 20 % of all units: words that share a unit stay together."""
    words = read_lexicon()
    folds = GroupShuffleSplit(test_size=0.2, random_state=0)
    train, valid = next(folds.split(words, groups=[unit(word) for word in words]))
    return Words([words[index] for index in train]), Words([words[index] for index in valid])


def random_split() -> tuple[Words, Words]:
    """Words drawn one by one: families are torn apart."""
    return split_words(unit=attrgetter("token"))


def grouped_split() -> tuple[Words, Words]:
    """Words drawn family by family: no stem is on both sides."""
    return split_words(unit=attrgetter("stem"))


def train_loader(dataset: Dataset, config: Config = DEFAULTS) -> DataLoader:
    order = torch.Generator().manual_seed(config.seed)
    return DataLoader(dataset, config.batch_size, shuffle=True, generator=order, collate_fn=collate)


def valid_loader(dataset: Dataset, config: Config = DEFAULTS) -> DataLoader:
    return DataLoader(dataset, config.batch_size, collate_fn=collate)


def predict(model: nn.Module, batch: Batch) -> Tensor:
    return model(batch["characters"], batch["lengths"])


def loss(model: nn.Module, batch: Batch) -> Tensor:
    return nn.functional.mse_loss(predict(model, batch), batch["rating"])


def make_optimizer(model: nn.Module, config: Config = DEFAULTS) -> Optimizer:
    return AdamW(model.parameters(), lr=config.lr, weight_decay=config.weight_decay)


@torch.no_grad()
def evaluate(model: nn.Module, loader: Iterable[Batch]) -> dict[str, float]:
    """Mean absolute error; the model comes back in the mode it was in."""
    was_training = model.training
    model.eval()
    errors = torch.cat([predict(model, batch) - batch["rating"] for batch in loader])
    model.train(was_training)
    return {"mae": errors.abs().mean().item()}


def save(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict()}, path)


def load(path: Path, model: nn.Module, optimizer: Optimizer) -> None:
    checkpoint = torch.load(path, weights_only=True)
    model.load_state_dict(checkpoint["model"])
    optimizer.load_state_dict(checkpoint["optimizer"])


def train(train_part: Words, config: Config = DEFAULTS) -> nn.Module:
    torch.manual_seed(config.seed)
    batches = train_loader(train_part, config)
    model = WordNet()
    optimizer = make_optimizer(model, config)
    for _ in range(config.epochs):
        for batch in batches:
            optimizer.zero_grad()
            loss(model, batch).backward()
            optimizer.step()
    return model


def constant_error(train_part: Words, valid_part: Words) -> float:
    """Mean absolute error of the best constant: the median of the training ratings."""
    constant = statistics.median(word.rating for word in train_part.words)
    return statistics.fmean(abs(word.rating - constant) for word in valid_part.words)


def rater_error(part: Words) -> float:
    """Mean absolute error of one person against the mean of the nine others."""
    errors = []
    for word in part.words:
        for rating in word.ratings:
            others = (sum(word.ratings) - rating) / (len(word.ratings) - 1)
            errors.append(abs(rating - others))
    return statistics.fmean(errors)


def main() -> None:
    print("mean absolute error on the validation words (ratings from -4 to 4)")
    for name, split in {"random": random_split, "by stem": grouped_split}.items():
        train_part, valid_part = split()
        known = set(train_part.groups())
        shared = statistics.fmean(stem in known for stem in valid_part.groups())
        model_error = evaluate(train(train_part), valid_loader(valid_part))["mae"]
        print(
            f"{name:8}  model {model_error:.3f}   constant {constant_error(train_part, valid_part):.3f}   "
            f"one rater {rater_error(valid_part):.3f}   stem seen in training: {shared:.0%}"
        )


def make_subject(name: str, train_part: Words, valid_part: Words, config: Config) -> Subject:
    return Subject(
        name=name,
        model=WordNet,
        loss=loss,
        predict=predict,
        optimizer=partial(make_optimizer, config=config),
        splits={
            "train": Split(partial(train_loader, train_part, config), groups=train_part.groups),
            "valid": Split(partial(valid_loader, valid_part, config), groups=valid_part.groups),
        },
        evaluate=evaluate,
        save=save,
        load=load,
        config=asdict(config),
        claims=Claims(parameters=PARAMETERS, group_key="group", target="rating"),
    )


def random_folds(*, seed: int = DEFAULTS.seed) -> Subject:
    """The run whose validation words have relatives in training."""
    return make_subject("words, random folds", *random_split(), Config(seed=seed))


def grouped_folds(*, seed: int = DEFAULTS.seed) -> Subject:
    """The run whose validation words are strangers."""
    return make_subject("words, folds by stem", *grouped_split(), Config(seed=seed))


if __name__ == "__main__":
    main()
