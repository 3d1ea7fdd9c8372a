"""The command line: one file a command, each loaded only when it is called. The only place that prints."""
