"""The edge's way out: what a partner says is sealed, given an id, kept in an outbox and sent until the broker has it."""
