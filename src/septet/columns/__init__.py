"""Named columns <-> the tensors of a model: the one place where values are cast, completed, stacked and taken apart."""
