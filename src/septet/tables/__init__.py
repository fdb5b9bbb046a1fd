"""Tables of rows, read and written as batches of columns: one file for each format."""
