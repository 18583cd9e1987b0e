"""`tally program try`: a changed document over recorded facts, in memory; nothing is written."""
