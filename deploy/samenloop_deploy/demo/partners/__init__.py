"""The partners' own systems, speaking the formats that the reference connectors read."""
