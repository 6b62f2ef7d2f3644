"""What is operated: tags moved, resolved and traced; images shown before they expire."""
