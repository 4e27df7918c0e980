"""Starting, watching, replacing and stopping processes."""
