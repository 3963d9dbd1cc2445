"""What runs the decisions on Kafka: batch loop, tables, restore, assignor, executor. The only room that knows aiokafka."""
