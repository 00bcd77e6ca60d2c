import statistics

import pytest
import torch
import words


def shared_stems(subject):
    train, valid = (set(subject.splits[name].groups()) for name in ("train", "valid"))
    return train & valid


def test_the_lexicon_holds_ten_ratings_for_each_word_of_letters():
    lexicon = words.read_lexicon()
    assert len(lexicon) == len({word.token for word in lexicon}) == 7209
    assert len({word.stem for word in lexicon}) == 3010
    assert {len(word.ratings) for word in lexicon} == {10}
    assert {rating for word in lexicon for rating in word.ratings} == set(range(-4, 5))


def test_grouped_folds_share_no_stem():
    assert not shared_stems(words.grouped_folds())


def test_random_folds_share_most_stems():
    subject = words.random_folds()
    shared, valid = shared_stems(subject), subject.splits["valid"].groups()
    assert statistics.fmean(stem in shared for stem in valid) > 0.7


@pytest.mark.parametrize("split", [words.random_split, words.grouped_split])
def test_no_word_is_in_both_parts(split):
    train_part, valid_part = split()
    train, valid = ({word.token for word in part.words} for part in (train_part, valid_part))
    assert not train & valid
    assert len(train) + len(valid) == len(words.read_lexicon())


def test_the_groups_of_a_split_are_those_of_its_samples():
    _, valid_part = words.grouped_split()
    assert valid_part.groups() == [sample["group"] for sample in valid_part]


def test_the_claimed_parameter_count_is_the_real_one():
    assert sum(parameter.numel() for parameter in words.WordNet().parameters()) == words.PARAMETERS


def test_what_stands_after_the_end_of_a_word_does_not_count():
    train_part, _ = words.grouped_split()
    batch = words.collate([train_part[index] for index in range(64)])
    model = words.WordNet().eval()
    positions = torch.arange(batch["characters"].shape[1])
    poison = torch.randint_like(batch["characters"], 1, len(words.ALPHABET) + 1)
    poisoned = torch.where(positions < batch["lengths"][:, None], batch["characters"], poison)
    assert not torch.equal(poisoned, batch["characters"])
    assert torch.equal(model(poisoned, batch["lengths"]), model(batch["characters"], batch["lengths"]))


def test_a_word_is_rated_alike_alone_and_among_longer_ones():
    train_part, _ = words.grouped_split()
    samples = [train_part[index] for index in range(64)]
    model = words.WordNet().eval().double()
    together = words.predict(model, words.collate(samples))
    alone = torch.cat([words.predict(model, words.collate([sample])) for sample in samples])
    assert torch.allclose(together, alone, rtol=0, atol=1e-13)


def test_a_brief_training_beats_the_constant_and_the_leak_flatters():
    errors = {}
    for split in (words.random_split, words.grouped_split):
        train_part, valid_part = split()
        model = words.train(train_part, words.Config(epochs=3))
        errors[split] = words.evaluate(model, words.valid_loader(valid_part))["mae"]
        assert errors[split] < 0.85 * words.constant_error(train_part, valid_part)
    assert errors[words.random_split] < errors[words.grouped_split] - 0.15
