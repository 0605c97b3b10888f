"""Pure policy of the edge: no camera, no file, no network, no clock."""
