"""The command line: one file per verb. Torch is imported only inside a worker."""
