"""The pages: what a professional sees of the overlaps in which his own organisation takes part."""
