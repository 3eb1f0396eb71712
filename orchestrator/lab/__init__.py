"""The lab: an embedded AWS and a fleet of simulated container instances, for demo, development and tests."""
