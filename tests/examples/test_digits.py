import digits
import torch


def test_no_image_is_in_both_parts_or_twice_in_one():
    train_part, valid_part = digits.load_splits()
    images = torch.cat([train_part.images, valid_part.images]).flatten(start_dim=1)
    assert len(images.unique(dim=0)) == len(images) == 1797


def test_each_digit_has_the_same_share_in_both_parts():
    shares = [part.labels.bincount() / len(part) for part in digits.load_splits()]
    assert torch.allclose(*shares, atol=0.002)


def test_the_claimed_parameter_count_is_the_real_one():
    assert sum(parameter.numel() for parameter in digits.DigitNet().parameters()) == digits.PARAMETERS


def test_a_brief_training_beats_the_constant_answer(capsys):
    model = digits.train(digits.Config(epochs=2))
    _, valid_part = digits.load_splits()
    accuracy = digits.evaluate(model, digits.valid_loader(valid_part))["accuracy"]
    most_frequent = (valid_part.labels.bincount().max() / len(valid_part)).item()
    assert most_frequent < 0.11
    assert accuracy > 0.9
    assert "epoch  2" in capsys.readouterr().out


def test_a_checkpoint_gives_back_the_predictions(tmp_path):
    subject = digits.subject()
    images, labels = next(iter(subject.splits["train"].batches()))
    model, restored = subject.model(), subject.model()
    optimizer, other = subject.optimizer(model), subject.optimizer(restored)
    subject.loss(model, (images, labels)).backward()
    optimizer.step()
    subject.save(tmp_path / "checkpoint.pt", model, optimizer)
    subject.load(tmp_path / "checkpoint.pt", restored, other)
    assert torch.equal(model.eval()(images), restored.eval()(images))


def test_evaluation_leaves_the_mode_as_it_was():
    subject = digits.subject()
    model = subject.model()
    subject.evaluate(model, subject.splits["valid"].batches())
    assert model.training
