"""The agents: one file each; take, call, send."""
