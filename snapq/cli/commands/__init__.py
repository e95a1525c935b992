"""The commands of snapq, a file for each group."""
