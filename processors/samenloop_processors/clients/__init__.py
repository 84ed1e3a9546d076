"""Clients: which source records are one person. Pure rules in `domain`, tables in `store`, the engine's view in `stage`."""
