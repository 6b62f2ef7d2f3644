"""The main job with no account: the real program on an embedded AWS, then ADR040 acted out."""
