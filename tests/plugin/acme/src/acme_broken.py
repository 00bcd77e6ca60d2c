"""A plug-in that cannot be imported: something that it needs is not installed."""

import a_library_that_nobody_has_installed  # noqa: F401
