"""From a command line to running processes: settings, config, children, the demo provider."""
