"""The municipal back office: nightly GWS extracts, one whole snapshot per municipality and module, dropped as CSV files."""
