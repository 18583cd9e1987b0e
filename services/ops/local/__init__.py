"""PostgreSQL, Kafka and the three services on this machine, for a demo, for tests and for a first look."""
