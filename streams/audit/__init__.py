"""The judge: from a workflow's topics alone it says whether what Penstock promises holds. It shares no decision with the engine."""
