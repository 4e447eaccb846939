"""What a choice costs and earns: latency measured and predicted, accuracy predicted."""
