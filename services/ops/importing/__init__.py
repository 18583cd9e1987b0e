"""Files of other people's sales, read into activities with an account of every row."""
