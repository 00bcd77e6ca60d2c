"""The pure core: what is asked, what was measured, what follows. Imports neither torch nor numpy."""
