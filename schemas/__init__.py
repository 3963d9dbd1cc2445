"""What travels: ids, records and rows, their Avro schemas and the codec. Pure; imports nothing else of ours."""
