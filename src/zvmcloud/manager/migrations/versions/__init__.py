"""One script per released schema."""
