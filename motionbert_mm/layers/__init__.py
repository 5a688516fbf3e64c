"""Plain building blocks of the networks; nothing here is registered."""
