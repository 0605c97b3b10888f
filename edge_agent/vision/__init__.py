"""Frames to statements about zones, picture and codes; OpenCV lives here only."""
