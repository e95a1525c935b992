"""The commands of snapq, a file each; `snapq.cli.app` lists them."""
