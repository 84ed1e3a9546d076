"""A synthetic region: people, their involvements, and the partner systems that register them. No real person is in it."""
