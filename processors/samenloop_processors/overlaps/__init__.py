"""Who is involved at the same time: overlap cases, their notices and their clocks."""
