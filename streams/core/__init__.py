"""Pure decisions: a row and a record in, a transition out. No I/O, no clock, no chance: they come in as arguments."""
