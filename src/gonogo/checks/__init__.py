"""One check per file; the path is the id: learning/one_batch_fit.py is learning.one-batch-fit."""
