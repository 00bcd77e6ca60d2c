"""LightningModules, with their DataModules and Trainers, as subjects."""
