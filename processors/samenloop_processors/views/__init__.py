"""What do people get to see? Tables for the pages and the notifier, folded from everything the hub knows."""
