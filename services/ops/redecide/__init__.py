"""L8 of the ledger: every recorded fact decided again gives the rows that are there; where not, it is said."""
