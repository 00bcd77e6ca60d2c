"""What every recipe shares: training that can be stopped at any moment and go on."""
