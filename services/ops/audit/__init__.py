"""What auditors ask at the command line: `tally as-of` and `tally explain`."""
