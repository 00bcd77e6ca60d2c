"""Steps of training under observation: weights, gradients, optimizers, schedules, precision, ranks."""
