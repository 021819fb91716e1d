"""The heart in three dimensions, how it deforms, and the planes that a probe cuts through it."""
