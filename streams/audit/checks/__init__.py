"""The invariants, a module each; they read the evidence and note what they find."""
