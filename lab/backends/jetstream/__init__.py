"""NATS JetStream: layouts, client, leaders, samples, logs."""
