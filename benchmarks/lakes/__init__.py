"""Lakes of small models really trained on the spot, with the truth about who descends from whom."""
