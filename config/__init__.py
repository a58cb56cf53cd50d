"""Settings, the clock, logging, the alert policy and the words a clinician reads."""
