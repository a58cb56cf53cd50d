"""The small job (`bench.job`) on one engine each: ``python -m bench.peers.NAME --help``."""
