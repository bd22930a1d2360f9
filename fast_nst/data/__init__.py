"""Content pictures: from folders, hubs, or made here; their crops."""
