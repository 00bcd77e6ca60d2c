"""A small GPT-2 of transformers, trained by its Trainer on the text of examples/gpt.py.

    python examples/trainer_gpt.py                 trains it
    gonogo run examples/trainer_gpt.py:trainer     asks first whether it is ready to be trained

Nothing in this file knows gonogo.
"""

import tempfile

import torch
from gpt import BYTES, LENGTH, Text
from torch.utils.data import Dataset
from transformers import GPT2Config, GPT2LMHeadModel, Trainer, TrainingArguments, set_seed


class Examples(Dataset[dict[str, torch.Tensor]]):
    """The windows as the model takes them: it shifts the labels itself."""

    def __init__(self, part: str) -> None:
        self.text = Text(part)

    def __len__(self) -> int:
        return len(self.text)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        tokens = self.text[index][:LENGTH]
        return {"input_ids": tokens, "labels": tokens.clone()}


def trainer() -> Trainer:
    """The run: a new model, the data and the arguments."""
    config = GPT2Config(
        vocab_size=BYTES, n_positions=LENGTH, n_embd=96, n_layer=3, n_head=4, bos_token_id=0, eos_token_id=0
    )
    arguments = TrainingArguments(
        output_dir=f"{tempfile.gettempdir()}/trainer_gpt",
        per_device_train_batch_size=32,
        learning_rate=2e-3,
        warmup_steps=20,
        num_train_epochs=3,
        save_strategy="no",
        report_to="none",
        use_cpu=True,
    )
    return Trainer(GPT2LMHeadModel(config), arguments, train_dataset=Examples("train"), eval_dataset=Examples("valid"))


if __name__ == "__main__":
    set_seed(0)
    run = trainer()
    run.train()
    print(run.evaluate())
