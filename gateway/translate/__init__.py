"""Docker's JSON <-> the model. Pure: no I/O, no clock; a test holds both directions together."""
