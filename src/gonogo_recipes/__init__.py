"""Complete training systems, each one folder, each proven by its own preflight."""
