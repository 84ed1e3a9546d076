"""Tells partners what is due, once, and puts on the log that they were told."""
