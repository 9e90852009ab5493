"""From final pairs to a frozen set with its labels, licences and datasheet, and to files in other formats."""
