"""Live: sources, pose estimators, tracking, windows, decisions, overlay and recording, one small module each."""
