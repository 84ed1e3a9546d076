"""What every connector shares: configuration, errors, history of a case, state, runner, status."""
