"""What is sized: programs, from a subject, a plan or the configuration of a published model."""
