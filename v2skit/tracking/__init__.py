"""A video of a face -> the mouth's pose in each frame -> smoothed crop boxes -> mouth crops."""
