"""The reference that is made from the code: settings, topics, shapes."""
