"""Live: sources, pose estimators, tracking, windows, decisions, overlay, one small module each."""
