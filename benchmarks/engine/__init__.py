"""How fast the engine is: workers as they are shipped, real Kafka, and plain aiokafka as the floor under it."""
