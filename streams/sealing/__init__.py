"""Encryption of what travels (docs/encryption.md): the keys, the sealing and opening of records, and Kafka clients that do it at the edge."""
