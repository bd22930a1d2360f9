"""Videos and animations: reading, stylizing, writing."""
