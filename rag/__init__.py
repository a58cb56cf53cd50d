"""Questions answered from evidence and from the patient's own data, or declined.

Nothing here knows Faust or Kafka.
"""
