"""Delivery of pages to providers; knows neither Faust nor Kafka."""
