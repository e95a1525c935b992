"""What goes into a package and runs without snapq."""
