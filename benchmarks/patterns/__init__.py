"""Three ways to run the same 10,000 document tasks against the same failing model: a chain, an agent mesh, Penstock."""
