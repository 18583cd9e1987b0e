"""The ledger's journal as what was once told to it: rows by the command that led to them, and these commands again."""
