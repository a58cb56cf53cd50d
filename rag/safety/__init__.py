"""Safety by rule: what comes before retrieval, and what leaves the process."""
