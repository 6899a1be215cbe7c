"""The routes of the native API, one module per subject; each has a ``router``."""
