"""Tables of rows, read and written as batches of columns in constant memory: one file for each format."""
