"""The `tally` command line, and the servers it starts on one machine."""
