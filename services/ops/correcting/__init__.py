"""`tally program correct`: what a wrong version gave is made good by points by hand, a member at a time."""
