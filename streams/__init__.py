"""The streams: topics, events, the batch transport, the applications and the command line."""
