"""The repeated blocks of a model, and what is done to each of them: run again in backward instead of kept."""

from collections import Counter
from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from gonogo.sizing.programs.program import Program
from gonogo.sizing.programs.rewriting import with_model

_LISTS = (nn.ModuleList, nn.Sequential, nn.ModuleDict)
_SHARE = 0.1  # a list of blocks counts if it holds this share of what the largest holds


def blocks(model: nn.Module) -> list[nn.Module]:
    """The children of the lists that hold most parameters; where nothing repeats, the children of the model.

    A list repeats if two of its children are of one class and have parts of their own. Lists within a block belong to
    the block.
    """
    lists = list(_repeating(model))
    most = max(map(_size, lists), default=0)
    found = [child for one in lists if _size(one) >= _SHARE * most for child in one.children() if _size(child)]
    return found or [child for child in model.children() if _size(child)] or [model]


def checkpointing(program: Program) -> Program:
    """Blocks keep their inputs alone, and run forward again within backward (non-reentrant)."""

    def change(model: nn.Module) -> nn.Module:
        for block in blocks(model):
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)
        return model

    return with_model(program, change)


def _repeating(module: nn.Module) -> list[nn.Module]:
    children = [child for child in module.children() if _size(child)]
    same = Counter(type(child) for child in children if list(child.children()))
    if isinstance(module, _LISTS) and max(same.values(), default=0) > 1 and not _lists_of_lists(children):
        return [module]
    return [found for child in children for found in _repeating(child)]


def _lists_of_lists(children: list[nn.Module]) -> bool:
    return all(type(child) in _LISTS for child in children) and any(_repeating(child) for child in children)


def _size(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())
