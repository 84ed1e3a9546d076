"""The question itself, pure: sets of statements, decisions and clock days in, overlap statements out."""
