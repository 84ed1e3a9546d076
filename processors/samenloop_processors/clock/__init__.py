"""Time arrives as an event: one process tells each area that a calendar day has begun."""
